"""A map on the cells of the image, the place it marks, that place moved elsewhere, and covered.

What is covered is covered in the image itself, in all tiles and overviews that show it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from groundviz.errors import UnsupportedMethod
from groundviz.methods.toolkit.regions import Canvas, canvases
from groundviz.record.geometry import apply, compose, invert
from groundviz.record.types import Bools, Doubles, Heatmap, Ints
from groundviz.runtime import Live

# Finer maps, such as those of pixels, are added up to so many cells along a side.
MOST_CELLS = 32
# Of the map's mass, each with the least that it takes of the image: what is marked by few cells straddles
# their neighbours. Above a fifth of the image covered, the curves of good maps are not monotone any more.
SHARES = {0.25: 0.01, 0.5: 0.02, 0.75: 0.03}
MOST_AREA = 0.10
# Cells over which the map is smoothed to tell which of two equal ones is nearer to what it marks.
NEARNESS = 1.5
# How far a copy is moved at least, in cells and as a share of the longer side: it must not lie on the place.
LEAST_CELLS, LEAST_SHARE = 3, 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Lattice:
    """A map over one image, added up on cells that can be moved.

    Attributes:
        canvas: The image, of whose pixels cells are made.
        values: float64 (row, col), what speaks for the answer; never below zero.
        cell: int (canvas row, canvas col), the number of the cell that each pixel lies in; -1 out of view.
    """

    canvas: Canvas
    values: Doubles
    cell: Ints

    def spread(self, chosen: Bools) -> Tensor:
        """The chosen cells, (batch, row, col), as they fall on the model's pixels: (batch, cell, 1)."""
        flat = np.concatenate([chosen.reshape(len(chosen), -1), np.zeros((len(chosen), 1), bool)], axis=1)
        on_canvas = torch.from_numpy(flat[:, self.cell].astype(np.float32))
        return self.canvas.onto(on_canvas.to(self.canvas.shown.device))


Places = tuple[Bools, ...]


def lattices(
    live: Live, heatmaps: Sequence[Heatmap], *, beside: Sequence[Heatmap] = ()
) -> tuple[Lattice, ...]:
    """A map, in as many parts as it has grids, as one lattice for each image that it lies on.

    Args:
        live: The model, which has read the prompt.
        heatmaps: The map.
        beside: Other maps that shall lie on the same cells: the finest of all decide how fine these are.

    Raises:
        UnsupportedMethod: No cell speaks for the answer.
    """
    found = []
    for canvas in canvases(live):
        own = [heatmap for heatmap in heatmaps if heatmap.grid.image == canvas.grid.image]
        others = [heatmap for heatmap in beside if heatmap.grid.image == canvas.grid.image]
        if own:
            found.append(_lattice(canvas, own, others))
    if not any(part.values.any() for part in found):
        raise UnsupportedMethod(
            "No cell of the map speaks for the answer, so that it marks no place that could be covered. Take "
            "another method, or explain another part of the answer."
        )
    return tuple(found)


def _lattice(canvas: Canvas, heatmaps: Sequence[Heatmap], beside: Sequence[Heatmap] = ()) -> Lattice:
    steps = np.min([_cell_size(heatmap.grid.to_source) for heatmap in (*heatmaps, *beside)], axis=0)
    seen_rows, seen_cols = (np.flatnonzero(canvas.grid.valid.any(axis=axis)) for axis in (1, 0))
    area = np.array([len(seen_rows), len(seen_cols)]) * _cell_size(canvas.grid.to_source)
    rows, cols = (int(count) for count in np.clip(np.rint(area / steps), 1, MOST_CELLS))
    # The lattice covers what the image shows, not the padding around it.
    row = _numbers(canvas.size[0], seen_rows, rows)
    col = _numbers(canvas.size[1], seen_cols, cols)
    cell = np.where((row[:, None] >= 0) & (col >= 0), row[:, None] * cols + col, -1)
    density = sum(_density(canvas, heatmap) for heatmap in heatmaps)
    inside = cell >= 0
    values = np.bincount(cell[inside], weights=np.asarray(density)[inside], minlength=rows * cols)
    return Lattice(canvas, values.reshape(rows, cols).astype(np.float64), cell)


def _cell_size(to_source: Doubles) -> Doubles:
    """Rows and columns of the source image that a cell takes."""
    return np.asarray(np.abs(np.diag(to_source[:, :2])))


def _numbers(side: int, seen: Ints, count: int) -> Ints:
    """The lattice row, or column, of each pixel along a side; -1 for a pixel that shows nothing."""
    numbers = np.full(side, -1, dtype=np.int64)
    start, stop = seen[0], seen[-1] + 1
    numbers[start:stop] = np.arange(stop - start) * count // (stop - start)
    return numbers


def _density(canvas: Canvas, heatmap: Heatmap) -> Doubles:
    """What a map holds at each canvas pixel, per area of the image; where it speaks against, zero."""
    grid = heatmap.grid
    centres = (np.argwhere(np.ones(canvas.size, dtype=bool)) + 0.5).astype(np.float64)
    at = apply(compose(invert(grid.to_source), canvas.grid.to_source), centres)
    row, col = np.floor(at).astype(np.int64).T
    inside = (row >= 0) & (row < grid.rows) & (col >= 0) & (col < grid.cols)
    values = heatmap.values.astype(np.float64)
    held = np.where(np.isfinite(values), np.maximum(values, 0.0), 0.0)
    held /= np.prod(_cell_size(grid.to_source))
    found = np.zeros(len(at))
    found[inside] = held[row[inside], col[inside]]
    return found.reshape(canvas.size)


def marked(parts: Sequence[Lattice]) -> list[Places]:
    """The place that a map marks, in three sizes: the cells that hold a quarter, half and three quarters.

    They take at least 1, 2 and 3 % of all cells, and at most 10 %.

    Returns:
        For each size, bool (row, col) of each lattice.
    """
    flat = np.concatenate([part.values.reshape(-1) for part in parts])
    held, most = np.cumsum(np.sort(flat)[::-1]), max(1, math.floor(MOST_AREA * len(flat)))
    found = []
    for share, area in SHARES.items():
        least = min(max(1, math.ceil(area * len(flat))), most)
        count = int(np.searchsorted(held, share * held[-1])) + 1
        found.append(strongest(parts, int(np.clip(count, least, most))))
    return found


def strongest(parts: Sequence[Lattice], count: int) -> Places:
    """The strongest cells of a map, bool (row, col) of each lattice; of equal ones those near the others."""
    ranked = strongest_first(parts)
    chosen = np.zeros(len(ranked), dtype=bool)
    chosen[ranked[:count]] = True
    return placed(parts, chosen)


def strongest_first(parts: Sequence[Lattice]) -> Ints:
    """The numbers of all cells, lattice after lattice, by value; equal ones near the others come first."""
    flat = np.concatenate([part.values.reshape(-1) for part in parts])
    near = np.concatenate([_smoothed(part.values).reshape(-1) for part in parts])
    return np.lexsort((-near, -flat))


def placed(parts: Sequence[Lattice], chosen: Bools) -> Places:
    """Cells that were chosen, bool (cell,) lattice after lattice, as bool (row, col) of each."""
    stops = np.cumsum([part.values.size for part in parts])[:-1]
    split = np.split(chosen, stops)
    return tuple(own.reshape(part.values.shape) for own, part in zip(split, parts, strict=True))


def _smoothed(values: Doubles) -> Doubles:
    """How much of a map lies around each cell, (row, col)."""
    along_rows, along_cols = (
        np.exp(-0.5 * ((np.arange(side)[:, None] - np.arange(side)) / NEARNESS) ** 2) for side in values.shape
    )
    return np.asarray(along_rows @ values @ along_cols.T, dtype=np.float64)


def moves(parts: Sequence[Lattice], copies: int, rng: np.random.Generator) -> list[list[tuple[int, int]]]:
    """How copies of a map are moved: for each copy, by how many rows and columns on each lattice.

    What leaves the image on one side comes back on the other. No two copies of one lattice lie alike.

    Raises:
        UnsupportedMethod: The map has too few cells for so many copies.
    """
    of_lattices = []
    for part in parts:
        rows, cols = part.values.shape
        down, right = np.mgrid[:rows, :cols]
        distance = np.hypot(np.minimum(down, rows - down), np.minimum(right, cols - right))
        far = np.argwhere(distance >= max(LEAST_CELLS, LEAST_SHARE * max(rows, cols)))
        if len(far) < copies:
            raise UnsupportedMethod(
                f"The map has {rows} by {cols} cells and can be moved to {len(far)} other places, of which "
                f"{copies} are needed. Use an image that the model sees in more cells."
            )
        of_lattices.append(rng.permutation(far)[:copies])
    return [[(int(step[0]), int(step[1])) for step in steps] for steps in zip(*of_lattices, strict=True)]


def moved(places: Places, by: Sequence[tuple[int, int]]) -> Places:
    """Places that were moved around the border of each lattice."""
    return tuple(np.roll(own, step, axis=(0, 1)) for own, step in zip(places, by, strict=True))


def copies_of(
    parts: Sequence[Lattice], sizes: Sequence[Places], copies: int, rng: np.random.Generator
) -> list[Places]:
    """The place in all its sizes, then each moved copy of it in all sizes.

    Raises:
        UnsupportedMethod: As in `moves`.
    """
    found = list(sizes)
    for by in moves(parts, copies, rng):
        found += [moved(places, by) for places in sizes]
    return found


def coverer(parts: Sequence[Lattice], places: Sequence[Places]) -> Callable[[slice], Tensor]:
    """What gives, of some places, how much of each of the model's pixels they cover: (batch, cell, 1)."""

    def covered(part: slice) -> Tensor:
        each = [
            lattice.spread(np.stack([place[number] for place in places[part]]))
            for number, lattice in enumerate(parts)
        ]
        return torch.stack(each).sum(dim=0).clamp(max=1.0)

    return covered
