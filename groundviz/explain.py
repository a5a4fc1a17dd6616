"""The whole story on one screen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from groundviz import images, models
from groundviz.explanation import Explanation
from groundviz.methods import DEFAULT, METHODS
from groundviz.runtime import borrow
from groundviz.types import Record, Target


def explain(
    model: Any,
    image: Any,
    question: str,
    *,
    methods: str | Iterable[str] = DEFAULT,
    answer: str | None = None,
    target: str | int | tuple[int, int] | None = None,
    processor: Any = None,
    seed: int = 0,
) -> Explanation:
    """Show where `model` looked in `image` when it answered `question`.

    The model is lent for the time of the call and comes back bit-identical, whatever happens.

    Args:
        model: A transformers model, "demo", a local folder, a hub id, or what `load` returned.
        image: A file, a PIL image, a numpy array, a pydicom data set, or a `Study`.
        question: What to ask.
        methods: Names of methods; `groundviz methods` lists them.
        answer: An answer to explain that the model did not give; it generates its own when None.
        target: The part of the answer to explain: a text in it, a token index or a range of
            indices. The whole answer when None. Any other part can be read later.
        processor: The model's processor, when it does not lie beside its weights.
        seed: Of everything random inside; the caller's random state is not touched.

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
    study = images.load(image)
    recipes = METHODS.resolve(methods)
    with borrow(vlm, seed=seed) as live:  # From here the model is ours; bit-identical when given back.
        prompt = live.encode(study, question)
        said = live.answer(prompt, given=answer)
        goal = Target.of(said, target)
        maps = [m for recipe in recipes.values() for m in recipe(live, prompt, said, goal)]
        provenance = live.provenance
    return Explanation(
        Record(
            study=study, prompt=prompt, answer=said, target=goal, heatmaps=tuple(maps), provenance=provenance
        )
    )
