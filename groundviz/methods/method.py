"""What an attribution method is: a function from a lent model and its answer to raw heatmaps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from groundviz.registry import Registry
from groundviz.runtime import Live
from groundviz.types import Answer, Floats, Grid, Heatmaps, Prompt, Target


class Method(Protocol):
    """One way to ask where the model looked; registered by decorator, one file each."""

    __doc__: str | None

    def __call__(self, live: Live, prompt: Prompt, answer: Answer, target: Target) -> list[Heatmaps]:
        """Measure; one `Heatmaps` per image grid."""


METHODS: Registry[Method] = Registry("method", "groundviz.methods")


def on_grids(values: Floats, prompt: Prompt) -> Iterator[tuple[Grid, Floats]]:
    """Lay out values of image tokens on their grids.

    Args:
        values: (..., image token), in the order of the prompt's grids.
        prompt: The prompt that holds the grids.

    Yields:
        Each grid with its values (..., row, col), NaN where a cell has no token.
    """
    start = 0
    for grid in prompt.grids:
        held = np.flatnonzero(grid.positions >= 0)
        laid = np.full((*values.shape[:-1], grid.rows * grid.cols), np.nan, dtype=np.float32)
        laid[..., held] = values[..., start : start + len(held)]
        start += len(held)
        yield grid, laid.reshape(*values.shape[:-1], grid.rows, grid.cols)
