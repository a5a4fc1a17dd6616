"""What an attribution method is: a function from a borrowed model and its answer to raw heatmaps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from groundviz.errors import UnsupportedMethod
from groundviz.methods.toolkit.facts import Facts as Facts
from groundviz.record.geometry import held_cells
from groundviz.record.types import Answer, Floats, Grid, Heatmaps, Reduction, Target
from groundviz.registry import Registry, no_function_of

# (live, prompt, answer, targets, **options) -> one `Heatmaps` per image grid; options are keyword-only
# and have defaults. Registered by decorator, one file each, with its `Facts`.
Method = Callable[..., list[Heatmaps]]

METHODS: Registry[Method] = Registry(
    "method", "groundviz.methods", no_function_of("live", "prompt", "answer", "targets"), facts=Facts
)


def each_token(answer: Answer) -> tuple[Target, ...]:
    """Every token of an answer as a target of its own."""
    return tuple(Target(tokens=(index,), text=text) for index, text in enumerate(answer.tokens))


def each_token_and(answer: Answer, targets: Iterable[Target]) -> tuple[Target, ...]:
    """Every token, and the contrasts among `targets`, which tokens do not add up to."""
    return (*each_token(answer), *(target for target in targets if target.foil))


def positive(method: str, options: Mapping[str, float]) -> None:
    """Stop a method whose numbers make no sense.

    Raises:
        UnsupportedMethod: One of them is not above zero.
    """
    for name, value in options.items():
        if not value > 0:
            raise UnsupportedMethod(
                f"{method} cannot run with {name}={value}: it must be above zero. Give another number."
            )


def laid_out(
    values: Any,
    grids: Sequence[Grid],
    targets: Sequence[Target],
    *,
    unit: str = "",
    signed: bool = False,
    reduce: tuple[Reduction, Reduction, Reduction] = ("sum", "mean", "mean"),
    layers: Sequence[int] = (),
    params: Mapping[str, Any] | None = None,
) -> list[Heatmaps]:
    """Lay out what was measured for every target and cell, and perhaps every layer and head.

    Args:
        values: (target, layer, head, cell), or (target, cell); cells in the order of the grids.
            A cell without a token has none here, unless a grid has no tokens at all (pixels).
        grids: Where the cells sit.
        targets: What each entry of the first axis is about.
        unit: What a value counts; empty for what the method's facts say.
        signed: Whether values below zero mean "against".
        reduce: How targets (token by token), layers and heads combine into one map.
        layers: Which layer each entry of the second axis is; empty when they are not told apart.
        params: What the method chose for itself; its options are added to it.

    Returns:
        One `Heatmaps` per grid, NaN where a cell has no token.
    """
    array = np.asarray(values, dtype=np.float32)
    array = array[:, None, None] if array.ndim == 2 else array
    parts = np.split(array, np.cumsum([held_cells(grid).sum() for grid in grids])[:-1], axis=-1)
    return [
        Heatmaps(
            values=_on_grid(part, grid),
            targets=tuple(targets),
            layers=tuple(layers),
            reduce=reduce,
            method="",
            unit=unit,
            signed=signed,
            grid=grid,
            params=params or {},
        )
        for part, grid in zip(parts, grids, strict=True)
    ]


def _on_grid(part: Floats, grid: Grid) -> Floats:
    laid = np.full((*part.shape[:-1], grid.rows * grid.cols), np.nan, dtype=np.float32)
    laid[..., held_cells(grid)] = part
    return laid.reshape(*part.shape[:-1], grid.rows, grid.cols)
