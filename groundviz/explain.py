"""The whole story on one screen."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from groundviz import images, models
from groundviz.errors import UnsupportedMethod
from groundviz.explanation import Explanation
from groundviz.methods import DEFAULT, DEFAULT_CONTRAST, DEFAULT_QUESTION
from groundviz.methods.recipes import Recipes, choose, measure
from groundviz.runtime import Live, borrow, recognition
from groundviz.runtime.progress import Tell
from groundviz.targets import Named, names_question
from groundviz.types import Answer, Heatmaps, Prompt, Record, Target


def explain(
    model: Any,
    image: Any,
    question: str,
    *,
    methods: str | Iterable[str] | Recipes | None = None,
    answer: str | None = None,
    target: Named | list[Named] | None = None,
    against: str | None = None,
    processor: Any = None,
    seed: int = 0,
    certify: bool = True,
) -> Explanation:
    """Show where `model` looked in `image` when it answered `question`.

    The model is lent for the time of the call and comes back bit-identical, whatever happens.

    Args:
        model: A transformers model, "demo", a local folder, a hub id, or what `load` returned.
        image: A file, a PIL image, a numpy array, a pydicom data set, or a `Study`; or several, as a
            list or tuple.
        question: What to ask.
        methods: Names of methods, or a table of names and their options, such as
            {"occlusion": {"window": 24}}; `groundviz methods` lists them. One of the usual methods that
            cannot explain an answer with an image token in it is left out with a RuntimeWarning.
        answer: An answer to explain that the model did not give; it generates its own when None.
        target: The part of the answer to explain: a text in it, a `Phrase` (which occurrence), a
            `Sentence`, a token index or a range of indices; or a part of the question, a `Question`,
            which attention alone measures; or a list of these, which share what passes they can.
            The whole answer when None.
        against: What the model might have said in the target's place: maps then explain why it is
            the one rather than the other.
        processor: The model's processor, when it does not lie beside its weights.
        seed: Of everything random inside; the caller's random state is not touched.
        certify: Whether a model that is explained for the first time is certified, see `certify`:
            one that is wrong gets a RuntimeWarning. The verdict is kept in the record's provenance.

    Raises:
        GroundvizError: The image, the question, the target, a method's name or the model will not
            do; the subclass and the message say which and what to do.

    >>> import groundviz
    >>> from groundviz.demo.phantoms import phantom
    >>> picture = phantom(3, findings=["nodule"]).pixels
    >>> explanation = groundviz.explain("demo", picture, "Is there a nodule?")
    >>> explanation.answer.text
    'yes'
    """
    vlm = models.resolve(model, processor)
    studies = images.load_each(image)
    usual = DEFAULT_CONTRAST if against else DEFAULT_QUESTION if names_question(target) else DEFAULT
    recipes = choose(methods or usual)
    verdict = models.verdict_on(vlm) if certify else None
    with borrow(vlm, seed=seed) as live:  # From here the model is ours; bit-identical when given back.
        prompt = live.encode(studies, question)
        said = live.answer(prompt, given=answer)
        goals = live.targets(said, target, against)
        if not methods and prompt.image_ids.intersection(said.token_ids.tolist()):
            recipes = _without_refusals(recipes, live, prompt, said, goals)
        maps = measure(recipes, live, prompt, said, goals)
        provenance = replace(live.provenance, certificate=verdict)
    return Explanation(
        Record(
            studies=studies,
            prompt=prompt,
            answer=said,
            targets=goals,
            heatmaps=maps,
            provenance=provenance,
        )
    )


def _without_refusals(
    recipes: Recipes, live: Live, prompt: Prompt, said: Answer, goals: tuple[Target, ...]
) -> Recipes:
    """The default methods that can explain an answer with an image token in it, where any can.

    A model may say one as it may say any token, and some methods would have to say it again. The
    rows of attention that were kept while it answered need no further pass.
    """
    refused = {}
    for name, options in recipes.items():
        try:
            measure({name: options}, live, prompt, said, goals)
        except UnsupportedMethod as why:
            refused[name] = str(why)
    if not refused or len(refused) == len(recipes):
        return recipes
    for name, reason in refused.items():
        warnings.warn(f"{name} was left out. {reason}", RuntimeWarning, stacklevel=3)
    return {name: options for name, options in recipes.items() if name not in refused}


def explain_more(
    explanation: Explanation,
    model: Any,
    methods: str | Iterable[str] | Recipes,
    *,
    processor: Any = None,
    tell: Tell | None = None,
) -> Explanation:
    """Measure further methods on an answer that was explained before, without asking again.

    The same images, question, answer, targets and seed are used, token for token; nothing is generated.
    The model comes back bit-identical, whatever happens.

    Args:
        explanation: What `explain` returned, or `open` brought back.
        model: The model that answered, in any of the ways that `explain` takes it.
        methods: Names of methods, or a table of names and their options. One that the explanation
            holds already is measured again and replaced.
        processor: The model's processor, when it does not lie beside its weights.
        tell: Called with what is being done, how many steps of it are done and of how many (0 of 0
            where they are not counted), at least after each layer of the model, so not to be slow. It may
            raise KeyboardInterrupt, which does what Ctrl-C does: the maps that are there are kept.

    Returns:
        Another explanation with the new maps behind the old ones; the given one stays as it is.

    Raises:
        UnsupportedModel: It is not the model that answered: its weights, the prompt it makes or what it
            thinks of the answer are others.
        GroundvizError: A method's name will not do, or a method refuses, as in `explain`.
        KeyboardInterrupt: Nothing was measured before the interruption.

    >>> import groundviz
    >>> from groundviz.demo.phantoms import phantom
    >>> picture = phantom(3, findings=["nodule"]).pixels
    >>> explanation = groundviz.explain("demo", picture, "Is there a nodule?")
    >>> groundviz.explain_more(explanation, "demo", "token_ablation").methods
    ('attention', 'gradient_attention', 'token_ablation')
    """
    record, vlm, recipes = explanation.record, models.resolve(model, processor), choose(methods)
    recognition.same_weights(record.provenance, vlm.model)
    with borrow(vlm, seed=record.provenance.seed, tell=tell) as live:
        live.progress.at("reading the answer")
        prompt = live.encode(record.studies, record.prompt.question)
        recognition.same_prompt(record.prompt, prompt)
        said = live.answer(prompt, given=record.answer.token_ids.tolist())
        recognition.same_answer(record.answer, said, record.provenance.dtype)
        maps = measure(recipes, live, prompt, record.answer, record.targets)
        seconds = round(record.provenance.seconds + live.provenance.seconds, 3)
    return Explanation(
        replace(
            record,
            heatmaps=_joined(record.heatmaps, maps),
            provenance=replace(record.provenance, seconds=seconds),
        )
    )


def _joined(old: Iterable[Heatmaps], new: Iterable[Heatmaps]) -> tuple[Heatmaps, ...]:
    """Old maps and new ones, method by method; new ones in the place of old ones of the same method."""
    held = _by_method(old) | _by_method(new)
    return tuple(one for found in held.values() for one in found)


def _by_method(maps: Iterable[Heatmaps]) -> dict[str, list[Heatmaps]]:
    found: dict[str, list[Heatmaps]] = {}
    for one in maps:
        found.setdefault(one.method, []).append(one)
    return found
