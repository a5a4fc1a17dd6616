"""One method on trial: run on a tiny model as `explain` runs it, registered or not."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import numpy as np

from groundviz.methods.running.measure import signed_off
from groundviz.methods.running.refusals import refuse_targets
from groundviz.methods.toolkit.facts import Facts
from groundviz.methods.toolkit.method import Method
from groundviz.models import VLM
from groundviz.record.geometry import compose, invert
from groundviz.record.targets import Named
from groundviz.record.types import Answer, Doubles, Floats, Grid, Heatmaps, Prompt, SourceImage, Target
from groundviz.runtime import Live, borrow
from groundviz.testing.tiny.planted import QUESTION, Planted

T = TypeVar("T")
ClosedForm = Callable[[Planted], Doubles]

# Enough for answers that repeat no word, on which a mix-up of tokens would not be seen.
ANSWER_TOKENS = 4
SOURCE_IMAGE = SourceImage(
    pixels=np.random.default_rng(7).random((40, 56, 3), dtype=np.float32),
    source="array",
    raw_range=(0.0, 1.0),
    sha256="0" * 64,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """What one run came to.

    Attributes:
        prompt: What was asked.
        answer: The answer, generated or given.
        targets: What was explained of it.
        maps: What the method returned.
    """

    prompt: Prompt
    answer: Answer
    targets: tuple[Target, ...]
    maps: tuple[Heatmaps, ...]

    def values(self, target: Target) -> tuple[Floats, ...]:
        """The map of one target on each grid."""
        return tuple(one.at(target).values for one in self.maps)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trial:
    """A method, and how it is to be run.

    Attributes:
        name: What it is called.
        method: The method.
        facts: What is known of it.
        options: To run it with.
        closed_form: What each cell of the planted model should hold, where that is known.
        noise: Share of a map's height that may come from chance.
    """

    name: str
    method: Method
    facts: Facts
    options: Mapping[str, Any]
    closed_form: ClosedForm | None = None
    noise: float = 0.05
    _kept: dict[Hashable, Any] = field(default_factory=dict)

    @property
    def documentation(self) -> str:
        """The method's docstring on one line; empty where Python runs without them."""
        return " ".join((inspect.getdoc(self.method) or "").split())

    def run(
        self,
        vlm: VLM,
        source_image: SourceImage = SOURCE_IMAGE,
        *,
        given: str | Sequence[int] | None = None,
        named: Sequence[Named | None] = (None,),
    ) -> Measured:
        """Answer the question, generated or as `given`, and measure once."""
        with borrow(vlm) as live:
            prompt = live.encode(source_image, QUESTION)
            answer = live.answer(prompt, given=given)
            targets = live.targets(answer, cast(Any, list(named)), None)
            maps = self.measure(live, prompt, answer, targets)
        return Measured(prompt=prompt, answer=answer, targets=targets, maps=maps)

    def measure(
        self, live: Live, prompt: Prompt, answer: Answer, targets: tuple[Target, ...]
    ) -> tuple[Heatmaps, ...]:
        """What the method returns, signed off as `explain` does it."""
        refuse_targets(self.name, self.facts, targets)
        found = self.method(live, prompt, answer, targets, **self.options)
        return tuple(signed_off(self.name, self.facts, self.options, one, live) for one in found)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """A value that several checks use, made at the first request."""
        if key not in self._kept:
            self._kept[key] = make()
        return cast(T, self._kept[key])


def on_cells(values: Floats, at: Grid, cells: Grid) -> Doubles:
    """A map on any grid, read on the image tokens: each gets a map cell's value by the share it covers.

    Args:
        values: (at.rows, at.cols), none of it NaN.
        at: Where the map's cells sit.
        cells: Where the image tokens sit.

    >>> def grid(side, scale):
    ...     return Grid(rows=side, cols=side, positions=np.arange(side**2), stage="pixels",
    ...         to_source=np.array([[scale, 0.0, 0.0], [0.0, scale, 0.0]]), valid=np.ones((side, side), bool))
    >>> on_cells(np.arange(9.0).reshape(3, 3), grid(3, 2.0), grid(2, 3.0)).round(3).tolist()
    [[3.0, 6.0], [12.0, 15.0]]
    """
    within = compose(invert(cells.to_source), at.to_source)
    rows = _shares(within[0, 0], within[0, 2], at.rows, cells.rows)
    cols = _shares(within[1, 1], within[1, 2], at.cols, cells.cols)
    return np.asarray(rows @ values.astype(np.float64) @ cols.T)


def _shares(scale: float, shift: float, parts: int, cells: int) -> Doubles:
    """(cell, part): how much of each part, `scale` cells long, lies in each cell."""
    start = scale * np.arange(parts) + shift
    cell = np.arange(cells)[:, None]
    shared = np.minimum(start + scale, cell + 1.0) - np.maximum(start, cell)
    return np.asarray(np.clip(shared, 0.0, None) / scale)
