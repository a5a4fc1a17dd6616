"""What an attribution method is: a function from a lent model and its answer to raw heatmaps."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from groundviz.registry import Registry
from groundviz.runtime import Live
from groundviz.types import Answer, Floats, Grid, Heatmaps, Prompt, Reduction, Target


class Method(Protocol):
    """One way to ask where the model looked; registered by decorator, one file each."""

    __doc__: str | None

    def __call__(self, live: Live, prompt: Prompt, answer: Answer, target: Target) -> list[Heatmaps]:
        """Measure; one `Heatmaps` per image grid."""


METHODS: Registry[Method] = Registry("method", "groundviz.methods")


def on_grids(
    values: Floats,
    prompt: Prompt,
    *,
    method: str,
    unit: str,
    reduce: tuple[Reduction, Reduction, Reduction],
) -> list[Heatmaps]:
    """Lay out what was measured at every answer token, layer, head and image token.

    Args:
        values: (answer token, layer, head, image token), image tokens in the order of the prompt's
            grids.
        prompt: The prompt that holds the grids.
        method: Registered name of the method.
        unit: What a value counts.
        reduce: How tokens, layers and heads combine into one map.

    Returns:
        One `Heatmaps` per grid, NaN where a cell has no token.
    """
    sizes = [int((grid.positions >= 0).sum()) for grid in prompt.grids]
    parts = np.split(values, np.cumsum(sizes)[:-1], axis=-1)
    return [
        Heatmaps(
            values=_laid_out(part, grid),
            tokens=tuple(range(values.shape[0])),
            layers=tuple(range(values.shape[1])),
            reduce=reduce,
            method=method,
            unit=unit,
            signed=False,
            grid=grid,
        )
        for part, grid in zip(parts, prompt.grids, strict=True)
    ]


def _laid_out(part: Floats, grid: Grid) -> Floats:
    laid = np.full((*part.shape[:-1], grid.rows * grid.cols), np.nan, dtype=np.float32)
    laid[..., grid.positions >= 0] = part
    return laid.reshape(*part.shape[:-1], grid.rows, grid.cols)
