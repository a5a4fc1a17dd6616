"""The whole story on one screen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from groundviz import images, models
from groundviz.explanation import Explanation
from groundviz.methods import DEFAULT, DEFAULT_CONTRAST
from groundviz.methods.recipes import Recipes, choose, measure
from groundviz.runtime import borrow
from groundviz.targets import Named
from groundviz.types import Record


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
            {"occlusion": {"window": 24}}; `groundviz methods` lists them.
        answer: An answer to explain that the model did not give; it generates its own when None.
        target: The part of the answer to explain: a text in it, a `Phrase` (which occurrence), a
            `Sentence`, a token index or a range of indices; or a list of these, which share what
            passes they can. The whole answer when None.
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
    recipes = choose(methods or (DEFAULT_CONTRAST if against else DEFAULT))
    verdict = models.verdict_on(vlm) if certify else None
    with borrow(vlm, seed=seed) as live:  # From here the model is ours; bit-identical when given back.
        prompt = live.encode(studies, question)
        said = live.answer(prompt, given=answer)
        goals = live.targets(said, target, against)
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
