"""The whole way from an image and a question to an explanation, on one screen."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from groundviz import images, models
from groundviz.errors import UnsupportedMethod
from groundviz.evidence.running.challenge import challenged, check_copies, chosen, cohort_of
from groundviz.evidence.running.examine import Extent, checks_of, examine
from groundviz.evidence.running.places import given
from groundviz.evidence.toolkit.check import COPIES, Case
from groundviz.explanation import Explanation
from groundviz.images.base.intake import refuse_as_question
from groundviz.methods import DEFAULT, DEFAULT_CONTRAST, DEFAULT_QUESTION
from groundviz.methods.running.choose import Recipes, choose
from groundviz.methods.running.measure import measure
from groundviz.record import arguments
from groundviz.record.conversation import Verbatim, asking
from groundviz.record.targets import Named, names_question
from groundviz.record.types import Answer, Check, Heatmaps, Prompt, Record, Target
from groundviz.runtime import Live, borrow
from groundviz.runtime.loan.progress import Tell
from groundviz.runtime.passes.generation_settings import checked

Measured = tuple[Answer, tuple[Target, ...], tuple[Heatmaps, ...], tuple[str, ...], tuple[Check, ...]]


def explain(
    model: Any,
    image: Any,
    question: str | Verbatim | Sequence[Mapping[str, Any]],
    *,
    methods: str | Iterable[str] | Recipes | None = None,
    system: str | None = None,
    generation: Mapping[str, Any] | None = None,
    answer: str | None = None,
    target: Named | list[Named] | None = None,
    against: str | None = None,
    processor: Any = None,
    seed: int = 0,
    certify: bool = True,
    evidence: Extent = "quick",
    label: str = "",
    window: Any = None,
    frame: Any = None,
    frames: Any = None,
) -> Explanation:
    """Show where `model` looked in `image` when it answered `question`.

    The model is borrowed for the time of the call and comes back bit-identical, whatever happens. Other
    threads that call it meanwhile wait until it is back.

    Args:
        model: A transformers model, "demo", a local folder, a hub id, or what `load` returned.
        image: A file or its bytes, a PIL image, a numpy array, a torch tensor, a pydicom data set, or a
            `SourceImage`; or several, as a list or tuple. A folder with one DICOM series, and a list within
            the list, is a stack of slices, see `groundviz.images.load_stack`.
        question: What to ask: a text; a list of chat messages such as {"role": "user", "content": "..."}, the
            last of which asks; or a whole prompt, as `Verbatim`. Images stand at the beginning of the
            first message unless {"type": "image"} in a content says where.
        methods: Names of methods, or a table of names and their options, such as
            {"occlusion": {"window": 24}}; `groundviz methods` lists them. One of the usual methods that
            cannot explain an answer with an image token in it is left out with a RuntimeWarning.
        system: A system prompt, for a model whose chat template has a place for one.
        generation: Settings of transformers' `generate` in place of the model's own, such as
            {"max_new_tokens": 64, "do_sample": True, "temperature": 0.7} or {"num_beams": 3}. Sampling
            starts from the seed; log-probabilities stay the model's own, not those drawn from.
        answer: An answer to explain that the model did not give; it generates its own when None.
        target: The part of the answer to explain: a text in it, a `Phrase` (which occurrence), a
            `Sentence`, a token index or a range of indices; or a part of the question, a `Question`,
            which attention alone measures; or a list of these, which share what passes they can.
            The whole answer when None.
        against: What the model might have generated in the target's place: maps then explain why it is
            the one rather than the other.
        processor: The model's processor, when it does not lie beside its weights.
        seed: Of everything random inside; the caller's random state is not touched.
        certify: Whether a model that is explained for the first time is certified, see `certify`:
            one that is wrong gets a RuntimeWarning. The verdict is kept in the record's provenance.
        evidence: "quick" tells whether the answer needs the image at all, for three more passes in one batch;
            "full" puts each map to the test as well, as `challenge` does; None measures neither.
        label: A name of your own for the model or the run, such as "checkpoint A", for records and tables;
            at most 200 characters. It is kept as it is: leave patients out of it.
        window: (centre, width) of the values shown from black to white, for the model as for you, in the
            units of the file (Hounsfield units for CT, 0 to 255 for an 8-bit PNG); one for all images,
            or a list with one for each. The file's own when None.
        frame: Which image of a multi-frame file, counting from 0; one for all images, or a list.
        frames: Which slices of a stack to ask about, counting from 0, such as `range(10, 30, 4)`, of a series
            or a multi-frame file; the others are not decoded. All of a folder's when None. For several
            stacks a list with numbers for each.

    Raises:
        GroundvizError: The image, the question, the target, a method's name or the model will not
            do; the subclass and the message say which and what to do.
        ModelChanged: Another thread kept training the model, so that no two passes were of one model.

    >>> import groundviz
    >>> from groundviz.demo.phantoms import phantom
    >>> image = phantom(3, findings=["nodule"]).pixels
    >>> explanation = groundviz.explain("demo", image, "Is there a nodule?")
    >>> explanation.answer.text
    'yes'
    """
    if isinstance(image, str | os.PathLike) and isinstance(question, str):
        refuse_as_question(question)
    asked, settings = asking(question, system), checked(generation, answer)
    arguments.check(methods=methods, answer=answer, target=target, against=against, seed=seed)
    arguments.check_label(label)
    checks = checks_of(evidence)
    usual = DEFAULT_CONTRAST if against else DEFAULT_QUESTION if names_question(target) else DEFAULT
    recipes = choose(methods or usual)
    vlm = models.resolve(model, processor)
    source_images = images.load_each(image, window=window, frame=frame, frames=frames)
    verdict = models.verdict_on(vlm) if certify else None
    with borrow(vlm, seed=seed) as live:  # From here the model is ours; bit-identical when given back.
        prompt = live.encode(source_images, asked)

        def measured() -> Measured:
            generated = live.answer(prompt, given=answer, generation=settings)
            goals = live.targets(generated, target, against)
            chosen = recipes
            if not methods and prompt.image_ids.intersection(generated.token_ids.tolist()):
                chosen = _without_refusals(recipes, live, prompt, generated, goals)
            maps, missing = measure(chosen, live, prompt, generated, goals)
            case = Case(live, prompt, generated, goals, maps, verdict)
            # Whoever interrupted the maps does not wait for checks of them.
            return generated, goals, maps, missing, examine(case, () if missing else checks)

        # Once, unless another thread trains the model meanwhile.
        generated, goals, maps, unmeasured, found = live.steadily(measured)
        provenance = replace(live.provenance, certificate=verdict)
    return Explanation(
        Record(
            source_images=source_images,
            prompt=prompt,
            answer=generated,
            targets=goals,
            heatmaps=maps,
            provenance=provenance,
            checks=found,
            unmeasured=unmeasured,
            label=label,
        )
    )


def _without_refusals(
    recipes: Recipes, live: Live, prompt: Prompt, generated: Answer, goals: tuple[Target, ...]
) -> Recipes:
    """The default methods that can explain an answer with an image token in it, where any can.

    A model may generate one as any other token, and some methods would have to generate it again. The
    rows of attention that were kept while it answered need no further pass.
    """
    refused = {}
    for name, options in recipes.items():
        try:
            measure({name: options}, live, prompt, generated, goals)
        except UnsupportedMethod as error:
            refused[name] = str(error)
    if not refused or len(refused) == len(recipes):
        return recipes
    for name, reason in refused.items():
        warnings.warn(f"{name} was left out. {reason}", RuntimeWarning, stacklevel=6)
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
    >>> image = phantom(3, findings=["nodule"]).pixels
    >>> explanation = groundviz.explain("demo", image, "Is there a nodule?")
    >>> groundviz.explain_more(explanation, "demo", "token_ablation").methods
    ('attention', 'gradient_attention', 'token_ablation')
    """
    return explanation.add(model, methods, processor=processor, tell=tell)


def challenge(
    explanation: Explanation,
    model: Any,
    *,
    checks: str | Iterable[str] | None = None,
    copies: int = COPIES,
    others: Iterable[Any] = (),
    places: Mapping[str, Any] | None = None,
    processor: Any = None,
    tell: Tell | None = None,
) -> Explanation:
    """Put the maps of an explanation to the test: does the answer need the places that they mark?

    For each method the place is covered, and the same shape elsewhere; see `groundviz.evidence.CHECKS` for
    what each check asks, costs and can not tell. The answer, its words and its maps stay as they are, and the
    model comes back bit-identical, whatever happens.

    Args:
        explanation: What `explain` returned, or `open` brought back.
        model: The model that answered, in any of the ways that `explain` takes it.
        checks: Names of checks; None for those on request ("marked_place", "stability", "sufficient"), and,
            with other images, also "other_images", "own_map" and "weights".
        copies: How many moved copies a place is compared with: 19 reach p = .05, take 99 for a paper.
        others: At least 3 other images, each an image as `explain` takes it, an explanation, or a .gvz file.
        places: By name, places of the first image that somebody else marked, such as a radiologist: bool
            masks (rows, cols), put to the same test as maps; `evidence.places` says what came of them.
        processor: The model's processor, when it does not lie beside its weights.
        tell: Called with how far the work has come, as in `explain_more`. It may raise KeyboardInterrupt,
            which does what Ctrl-C does: what was found is kept, and named partial.

    Returns:
        Another explanation, whose `evidence` tells more; the given one stays as it is. At 19 copies this
        takes about 140 forward passes for each method.

    Raises:
        UnsupportedModel: It is not the model that answered.
        UnknownName: There is no such check.
        OptionError: There are too few copies, or the others are not like the images that were asked about.
        ImageError: A place is no mask of the image.
        KeyboardInterrupt: Nothing was found before the interruption.

    >>> import groundviz
    >>> from groundviz.demo.phantoms import phantom
    >>> image = phantom(3, findings=["nodule"]).pixels
    >>> explanation = groundviz.explain("demo", image, "Where is the nodule?", methods="gradient_attention")
    >>> groundviz.challenge(explanation, "demo", checks="marked_place").evidence.marked_place
    {'gradient_attention': 'shown'}
    """
    check_copies(copies)
    cohort = cohort_of(others, explanation.source_images)
    wanted = chosen(checks, with_others=bool(cohort.images))
    marked = given(explanation.record, places or {})
    vlm = models.resolve(model, processor)
    return Explanation(
        challenged(explanation.record, vlm, wanted, copies=copies, cohort=cohort, places=marked, tell=tell)
    )
