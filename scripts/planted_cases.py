"""Cases whose truth is known: a model that cannot see, and maps that are right or wrong on purpose."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from groundviz.demo.phantoms import Phantom
from groundviz.demo.questions import ask
from groundviz.explain import explain
from groundviz.explanation import Explanation
from groundviz.models import VLM
from groundviz.record.geometry import cell_coverage
from groundviz.record.types import Bools, Floats, Grid, Heatmaps

# Cells by which a right map is moved to be wrong.
ASTRAY = 4
QUESTION = "Where is the nodule?"


def blind_twin(vlm: VLM) -> VLM:
    """A model whose projector says the same of every image, whatever it shows."""
    twin = copy.deepcopy(vlm.model)
    with torch.no_grad():
        twin.model.multi_modal_projector.linear_2.weight.zero_()
    return replace(vlm, model=twin)


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many, with Wilson's interval at 95 %."""

    count: int
    n: int

    @property
    def share(self) -> float | None:
        """The share, None of nothing."""
        return self.count / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's score interval; from 0 to 1 of nothing."""
        if not self.n:
            return 0.0, 1.0
        z, p = 1.959964, self.count / self.n
        middle = (p + z * z / (2 * self.n)) / (1 + z * z / self.n)
        half = z * np.sqrt(p * (1 - p) / self.n + z * z / (4 * self.n**2)) / (1 + z * z / self.n)
        return float(max(0.0, middle - half)), float(min(1.0, middle + half))

    def __str__(self) -> str:
        if not self.n:
            return "none of 0"
        low, high = self.interval
        return f"{self.count} of {self.n} ({self.count / self.n:.3f}, {low:.3f} to {high:.3f})"


def answered(vlm: VLM, drawn: Phantom, methods: tuple[str, ...], **options: object) -> Explanation | None:
    """The explanation of "where is the nodule?"; None where the answer is wrong."""
    asked = ask(drawn, "where", "nodule")
    found = explain(vlm, drawn.pixels, asked.text, methods=list(methods), **options)
    return found if found.answer.text == asked.answer else None


def with_planted(explanation: Explanation, maps: Mapping[str, Floats]) -> Explanation:
    """The explanation with further maps, by name, each the same for every token of the answer."""
    like = explanation.record.heatmaps[0]
    planted = [_planted(like, name, values) for name, values in maps.items()]
    return Explanation(replace(explanation.record, heatmaps=(*explanation.record.heatmaps, *planted)))


def _planted(like: Heatmaps, name: str, values: Floats) -> Heatmaps:
    laid = np.broadcast_to(values, (len(like.targets), 1, 1, *values.shape)).astype(np.float32)
    return replace(
        like,
        values=laid,
        layers=(),
        method=name,
        unit="planted",
        signed=False,
        params={},
        reduce=("mean",) * 3,
    )


def coverage(explanation: Explanation, mask: Bools) -> Floats:
    """The share of each cell that a mask covers."""
    return cell_coverage(grid_of(explanation), mask)


def grid_of(explanation: Explanation) -> Grid:
    """The cells of the explanation's maps."""
    return explanation.record.heatmaps[0].grid


def wrong_maps(lesion: Floats, pointing: Floats, rng: np.random.Generator) -> Iterator[tuple[str, Floats]]:
    """Maps that do not mark the lesion: right ones moved, a blob and noise, each by a name of its kind.

    Args:
        lesion: The share of each cell that the lesion covers.
        pointing: A map that marks it.
        rng: Draws them.
    """
    for number in range(3):
        yield f"lesion moved {number}", np.roll(lesion, _astray(lesion.shape, rng), axis=(0, 1))
    for number in range(2):
        yield f"map moved {number}", np.roll(pointing, _astray(pointing.shape, rng), axis=(0, 1))
    yield "blob", _blob(lesion, rng)
    yield "noise", rng.random(lesion.shape)


def kind_of(name: str) -> str:
    """The kind of a planted map, without its number."""
    return name.rstrip("0123456789 ")


def _astray(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[int, int]:
    """A move by at least `ASTRAY` cells, around the border."""
    while True:
        down, right = (int(rng.integers(0, side)) for side in shape)
        if np.hypot(min(down, shape[0] - down), min(right, shape[1] - right)) >= ASTRAY:
            return down, right


def _blob(lesion: Floats, rng: np.random.Generator) -> Floats:
    """A smooth blob whose middle is at least `ASTRAY` cells from the middle of the lesion."""
    rows, cols = lesion.shape
    down, right = np.mgrid[:rows, :cols] + 0.5
    mass = lesion / lesion.sum()
    middle = float((down * mass).sum()), float((right * mass).sum())
    while True:
        row, col = rng.uniform(0, rows), rng.uniform(0, cols)
        if np.hypot(row - middle[0], col - middle[1]) >= ASTRAY:
            return np.exp(-((down - row) ** 2 + (right - col) ** 2) / (2 * 1.5**2))
