"""Geometries that are wrong on purpose: what an adapter that misplaces image tokens says."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from groundviz.record.types import Grid

Grids = Sequence[Grid]


def off_by_one(grids: Grids) -> list[Grid]:
    """Each token stands for the cell before its own."""
    return [_with(grid, np.roll(grid.positions[grid.positions >= 0], 1)) for grid in grids]


def mirrored(grids: Grids) -> list[Grid]:
    """Left for right."""
    return [_with(grid, _kept(_square(grid)[:, ::-1])) for grid in grids]


def transposed(grids: Grids) -> list[Grid]:
    """Columns are read for rows."""
    return [_with(grid, _kept(_square(grid).T)) for grid in grids]


def views_backwards(grids: Grids) -> list[Grid]:
    """The views of each image (overview, tiles) are taken in the opposite order."""
    order = []
    for image in sorted({grid.image for grid in grids}):
        order += [grid for grid in reversed(grids) if grid.image == image]
    return _dealt(grids, order)


def images_swapped(grids: Grids) -> list[Grid]:
    """The tokens of the second image are taken for those of the first."""
    images = sorted({grid.image for grid in grids}, reverse=True)
    return _dealt(grids, [grid for image in images for grid in grids if grid.image == image])


BROKEN: dict[str, Callable[[Grids], list[Grid]]] = {
    "off by one": off_by_one,
    "mirrored": mirrored,
    "transposed": transposed,
    "views backwards": views_backwards,
    "images swapped": images_swapped,
}


def _square(grid: Grid) -> np.ndarray:
    return grid.positions.reshape(grid.rows, grid.cols)


def _kept(positions: np.ndarray) -> np.ndarray:
    flat = positions.ravel()
    return flat[flat >= 0]


def _with(grid: Grid, tokens: np.ndarray) -> Grid:
    positions = grid.positions.copy()
    positions[positions >= 0] = tokens
    return replace(grid, positions=positions)


def _dealt(grids: Grids, order: Grids) -> list[Grid]:
    """The tokens of all grids in another order of the grids."""
    tokens = np.concatenate([_kept(grid.positions) for grid in order])
    dealt, start = [], 0
    for grid in grids:
        count = int((grid.positions >= 0).sum())
        dealt.append(_with(grid, tokens[start : start + count]))
        start += count
    return dealt
