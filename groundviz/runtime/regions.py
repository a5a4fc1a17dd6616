"""Pieces of the picture that a perturbation takes away, and the grid that maps of them are drawn on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from groundviz.errors import UnknownName, UnsupportedMethod
from groundviz.geometry import cells_in_view, compose, scale_shift
from groundviz.runtime.live import Live
from groundviz.types import Doubles, Floats, Grid, Ints


class Regions(Protocol):
    """Numbered pieces of one picture; pieces that show nothing of the source image have no number."""

    @property
    def count(self) -> int:
        """How many pieces there are."""

    def spread(self, weights: Tensor) -> Tensor:
        """Each pixel's share of weighted pieces: (batch, piece) to (batch, 1, row, col)."""

    def drawn(self, values: Tensor) -> tuple[Grid, Floats]:
        """Values (piece, target), perhaps of the first pieces alone, as a grid and (target, cell)."""


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """One rectangle around the centre of each cell of a grid, in the order of the cells.

    Attributes:
        grid: The cells; those out of view have no window.
        rows: (cell row, pixel row) share of each pixel row that the window covers.
        cols: (cell col, pixel col) likewise.
    """

    grid: Grid
    rows: Tensor
    cols: Tensor

    @property
    def count(self) -> int:
        """How many windows there are."""
        return int(self.grid.valid.sum())

    def spread(self, weights: Tensor) -> Tensor:
        """Each pixel's share of weighted windows: (batch, window) to (batch, 1, row, col)."""
        cells = weights.new_zeros(len(weights), self.grid.valid.size)
        cells[:, torch.from_numpy(np.flatnonzero(self.grid.valid)).to(cells.device)] = weights
        cells = cells.reshape(-1, self.grid.rows, self.grid.cols)
        return torch.einsum("brc,rp,cq->bpq", cells, self.rows, self.cols)[:, None]

    def drawn(self, values: Tensor) -> tuple[Grid, Floats]:
        """Values (window, target) in their cells, NaN where there is none."""
        numbers = np.full(self.grid.valid.size, -1, dtype=np.int64)
        numbers[self.grid.valid.reshape(-1)] = np.arange(self.count)
        return _drawn(self.grid, numbers, values)


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Pieces of any shape, such as superpixels.

    Attributes:
        grid: One cell for each pixel of the picture.
        numbers: int (row, col), the piece that each pixel belongs to; -1 out of view.
    """

    grid: Grid
    numbers: Ints

    @property
    def count(self) -> int:
        """How many pieces there are."""
        return int(self.numbers.max()) + 1

    def spread(self, weights: Tensor) -> Tensor:
        """The weight of each pixel's piece: (batch, piece) to (batch, 1, row, col); zero out of view."""
        padded = torch.cat([weights, weights.new_zeros(len(weights), 1)], dim=1)
        return padded[:, torch.from_numpy(self.numbers).to(padded.device)][:, None]

    def drawn(self, values: Tensor) -> tuple[Grid, Floats]:
        """Values (piece, target) at every pixel of their pieces, NaN out of view."""
        return _drawn(self.grid, self.numbers.reshape(-1), values)


def picture(live: Live) -> tuple[Tensor, Grid]:
    """The one picture that the model sees, (1, channel, row, col), and the grid of its pixels.

    Raises:
        UnsupportedMethod: The model takes several pictures or tiles, or no picture of rows and columns.
    """
    site = live.site("pixels")
    pixels, grids = live.read(site), live.grids(site)
    if len(grids) != 1 or pixels.shape[0] != 1 or pixels.shape[2:] != (grids[0].rows, grids[0].cols):
        raise UnsupportedMethod(
            f"The model's pixels cannot be covered piece by piece: they come as {tuple(pixels.shape)} in "
            f"{len(grids)} tiles, and one picture of rows and columns is needed. "
            "Use token_ablation, or a gradient or attention method."
        )
    return pixels, grids[0]


def named(kind: str, makers: Mapping[str, Callable[[], Regions]]) -> Regions:
    """The pieces that a user asked for by name, made on demand.

    Raises:
        UnknownName: There is no such kind.
    """
    if kind not in makers:
        raise UnknownName(
            f"There are no regions called {kind!r}: there are {', '.join(makers)}. Name one of these."
        )
    return makers[kind]()


def windows(live: Live, *, stride: float, window: float | None = None) -> Windows:
    """Rectangles over the picture, `stride` apart and `window` wide, both in model pixels.

    The stride is stretched so that a whole number of cells fills the picture. Without a width the
    windows are the cells themselves: they share no pixel and leave none out.
    """
    pixels, grid = picture(live)
    counts = [max(1, round(side / stride)) for side in pixels.shape[2:]]
    covers = [
        torch.from_numpy(_shares(side, count, window or side / count)).to(pixels.device)
        for side, count in zip(pixels.shape[2:], counts, strict=True)
    ]
    cells = coarser(grid, counts[0], counts[1], live.study.shape)
    return Windows(cells, covers[0], covers[1])


def segments(live: Live, labels: Ints) -> Segments:
    """The pieces that equal labels, int (row, col), make of the picture's pixels in view."""
    _, grid = picture(live)
    kept = np.where(grid.valid, labels, -1)
    known = np.unique(kept[grid.valid])
    numbers = np.where(grid.valid, np.searchsorted(known, kept), -1)
    return Segments(grid, numbers.astype(np.int64))


def shown(live: Live) -> Floats:
    """The picture as the model sees it, float32 (row, col, channel), in the model's own scale."""
    pixels, _ = picture(live)
    return np.asarray(pixels[0].float().permute(1, 2, 0).cpu().numpy(), dtype=np.float32)


def coarser(grid: Grid, rows: int, cols: int, shape: tuple[int, int]) -> Grid:
    """A grid of `rows` by `cols` cells without tokens over the area of `grid`, on an image of `shape`."""
    to_source = compose(grid.to_source, scale_shift((grid.rows / rows, grid.cols / cols)))
    return Grid(
        rows=rows,
        cols=cols,
        positions=np.full(rows * cols, -1, dtype=np.int64),
        to_source=to_source,
        valid=cells_in_view(rows, cols, to_source, shape),
        stage="pixels",
    )


def mixed(pixels: Tensor, other: Tensor, share: Tensor) -> Tensor:
    """Pictures with `share` (batch, 1, row, col) of another picture mixed in, in the dtype of `pixels`."""
    return torch.lerp(pixels.float(), other.float(), share).to(pixels.dtype)


def in_pixels(live: Live, length: float) -> float:
    """A length in model pixels: up to 1 it is a share of the picture's shorter side."""
    pixels, _ = picture(live)
    return length * min(pixels.shape[2:]) if length <= 1 else float(length)


def _shares(side: int, count: int, width: float) -> Floats:
    """(window, pixel) how much of each pixel along an axis lies within each window."""
    centre = (np.arange(count)[:, None] + 0.5) * side / count
    pixel = np.arange(side)[None, :]
    shared = np.minimum(centre + width / 2, pixel + 1.0) - np.maximum(centre - width / 2, pixel)
    return np.asarray(np.clip(shared, 0.0, 1.0), dtype=np.float32)


def _drawn(grid: Grid, numbers: Ints, values: Tensor) -> tuple[Grid, Floats]:
    """Values (piece, target) where their numbers stand; what has no value is not in view."""
    found: Doubles = values.double().cpu().numpy()
    known = (numbers >= 0) & (numbers < len(found))
    cells = np.full((found.shape[1], numbers.size), np.nan, dtype=np.float32)
    cells[:, known] = found[numbers[known]].T
    return replace(grid, valid=grid.valid & known.reshape(grid.valid.shape)), cells
