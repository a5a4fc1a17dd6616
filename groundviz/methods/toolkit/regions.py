"""Pieces of the image that a perturbation takes away, and the grid that maps of them are drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from skimage.segmentation import slic
from torch import Tensor

from groundviz.errors import UnknownName
from groundviz.record.geometry import apply, compose, invert, other_cells, scale_shift, squeezed
from groundviz.record.types import Doubles, Floats, Grid, Ints
from groundviz.runtime.live import Live

# Longer sides to a shorter one: what is longer still has windows as large as if it had these sides.
LONGEST = 8


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """The area of one image on which pieces are cut out.

    A model that sees the image as one image has that image's pixels for it. Where several
    images show the same place (tiles, and an overview), it covers the source image in pixels as
    fine as the finest of them, and what is cut out of it is gone from all of them.

    Attributes:
        grid: Its pixels.
        shown: int (cell,), the number of the canvas pixel that each cell of the site "pixels" shows;
            -1 where it shows none.
    """

    grid: Grid
    shown: Tensor

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.grid.rows, self.grid.cols

    def onto(self, share: Tensor) -> Tensor:
        """Shares of the canvas, (batch, row, col), as they fall on the pixels: (batch, cell, 1)."""
        padded = torch.cat([share.flatten(1), share.new_zeros(len(share), 1)], dim=1)
        return padded[:, self.shown.to(share.device)][..., None]


class Regions(Protocol):
    """Numbered pieces of one image; pieces that show nothing of the source image have no number."""

    @property
    def count(self) -> int:
        """How many pieces there are."""

    def spread(self, weights: Tensor) -> Tensor:
        """Each canvas pixel's share of weighted pieces: (batch, piece) to (batch, row, col)."""

    def drawn(self, values: Tensor) -> tuple[Grid, Floats]:
        """Values (piece, target), perhaps of the first pieces alone, as a grid and (target, cell)."""


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """One rectangle around the centre of each cell of a grid, in the order of the cells.

    Attributes:
        grid: The cells; those out of view have no window.
        rows: (cell row, canvas row) share of each canvas row that the window covers.
        cols: (cell col, canvas col) likewise.
    """

    grid: Grid
    rows: Tensor
    cols: Tensor

    @property
    def count(self) -> int:
        """How many windows there are."""
        return int(self.grid.valid.sum())

    def spread(self, weights: Tensor) -> Tensor:
        """Each canvas pixel's share of weighted windows: (batch, window) to (batch, row, col)."""
        cells = weights.new_zeros(len(weights), self.grid.valid.size)
        cells[:, torch.from_numpy(np.flatnonzero(self.grid.valid)).to(cells.device)] = weights
        cells = cells.reshape(-1, self.grid.rows, self.grid.cols)
        return torch.einsum("brc,rp,cq->bpq", cells, self.rows, self.cols)

    def drawn(self, values: Tensor) -> tuple[Grid, Floats]:
        """Values (window, target) in their cells, NaN where there is none."""
        numbers = np.full(self.grid.valid.size, -1, dtype=np.int64)
        numbers[self.grid.valid.reshape(-1)] = np.arange(self.count)
        return _drawn(self.grid, numbers, values)


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Pieces of any shape, such as superpixels.

    Attributes:
        grid: One cell for each pixel of the canvas.
        numbers: int (row, col), the piece that each pixel belongs to; -1 out of view.
    """

    grid: Grid
    numbers: Ints

    @property
    def count(self) -> int:
        """How many pieces there are."""
        return int(self.numbers.max()) + 1

    def spread(self, weights: Tensor) -> Tensor:
        """The weight of each canvas pixel's piece: (batch, piece) to (batch, row, col)."""
        padded = torch.cat([weights, weights.new_zeros(len(weights), 1)], dim=1)
        return padded[:, torch.from_numpy(self.numbers).to(padded.device)]

    def drawn(self, values: Tensor) -> tuple[Grid, Floats]:
        """Values (piece, target) at every pixel of their pieces, NaN out of view."""
        return _drawn(self.grid, self.numbers.reshape(-1), values)


def canvases(live: Live) -> tuple[Canvas, ...]:
    """What pieces can be cut out of, one canvas for each image of the prompt; made once for each answer."""
    return live.once("canvases", lambda: _canvases(live))


def _canvases(live: Live) -> tuple[Canvas, ...]:
    site = live.site("pixels")
    grids, device = live.grids(site), live.read(site).device
    found = []
    for image, source_image in enumerate(live.source_images):
        own = [grid for grid in grids if grid.image == image]
        area = own[0] if len(own) == 1 else _over(own, source_image.shape)
        numbers = np.concatenate([_numbers(grid, area) for grid in grids])
        found.append(Canvas(area, torch.from_numpy(numbers).to(device)))
    return tuple(found)


def _over(grids: Sequence[Grid], shape: tuple[int, int]) -> Grid:
    """The whole source image in pixels as fine as the finest grid's."""
    finest = np.min([np.abs(np.diag(grid.to_source[:, :2])) for grid in grids], axis=0)
    rows, cols = (max(1, round(side / step)) for side, step in zip(shape, finest, strict=True))
    return squeezed((rows, cols), shape, image=grids[0].image)


def _numbers(grid: Grid, canvas: Grid) -> Ints:
    """The canvas pixel under the centre of each pixel of a grid, -1 where there is none."""
    if grid is canvas:
        return np.arange(grid.valid.size)
    if grid.image != canvas.image:
        return np.full(grid.valid.size, -1)
    centres = np.argwhere(np.ones_like(grid.valid)) + 0.5
    at = apply(compose(invert(canvas.to_source), grid.to_source), centres.astype(np.float64))
    row, col = np.floor(at).astype(np.int64).T
    inside = (row >= 0) & (row < canvas.rows) & (col >= 0) & (col < canvas.cols)
    return np.where(inside, row * canvas.cols + col, -1)


def pieces_of(
    live: Live,
    canvas: Canvas,
    kind: str,
    *,
    stride: float,
    window: float | None = None,
    count: int | None = None,
) -> Regions:
    """The pieces of an image that a user asked for by name.

    Args:
        live: A borrowed model with an encoded image.
        canvas: What the pieces are cut out of.
        kind: "grid", for `windows`; or "superpixels", pieces along the image's own edges (SLIC zero).
        stride: As in `windows`.
        window: As in `windows`.
        count: How many superpixels; as many as there would be windows when None.

    Raises:
        UnknownName: There is no such kind.
    """
    if kind == "grid":
        return windows(live, canvas, stride=stride, window=window)
    if kind == "superpixels":
        wanted = count or windows(live, canvas, stride=stride).grid.valid.size
        return segments(canvas, slic(shown(live, canvas), n_segments=wanted, slic_zero=True, start_label=0))
    raise UnknownName(
        f"There are no regions called {kind!r}: there are grid, superpixels. Name one of these."
    )


def windows(live: Live, canvas: Canvas, *, stride: float, window: float | None = None) -> Windows:
    """Rectangles over an image, `stride` apart and `window` wide, both in canvas pixels.

    The stride is stretched so that a whole number of cells fills the canvas. Without a width the
    windows are the cells themselves: they share no pixel and leave none out.
    """
    counts = [max(1, round(side / stride)) for side in canvas.size]
    covers = [
        torch.from_numpy(_shares(side, count, window or side / count)).to(canvas.shown.device)
        for side, count in zip(canvas.size, counts, strict=True)
    ]
    cells = coarser(canvas.grid, counts[0], counts[1], live.source_images[canvas.grid.image].shape)
    return Windows(cells, covers[0], covers[1])


def segments(canvas: Canvas, labels: Ints) -> Segments:
    """The pieces that equal labels, int (row, col), make of the canvas' pixels in view."""
    grid = canvas.grid
    kept = np.where(grid.valid, labels, -1)
    known = np.unique(kept[grid.valid])
    numbers = np.where(grid.valid, np.searchsorted(known, kept), -1)
    return Segments(grid, numbers.astype(np.int64))


def shown(live: Live, canvas: Canvas) -> Floats:
    """The image on its canvas, float32 (row, col, channel), in the model's own scale.

    What several images show alike is read from the last of them, the finest.
    """
    pixels = live.read(live.site("pixels"))[0].float().cpu()
    inside = canvas.shown >= 0
    drawn = torch.zeros(canvas.grid.valid.size, pixels.shape[1])
    drawn[canvas.shown[inside].cpu()] = pixels[inside.cpu()]
    return np.asarray(drawn.reshape(*canvas.size, -1).numpy(), dtype=np.float32)


def coarser(grid: Grid, rows: int, cols: int, shape: tuple[int, int]) -> Grid:
    """A grid of `rows` by `cols` cells without tokens over the area of `grid`, on an image of `shape`."""
    return other_cells(grid, (rows, cols), scale_shift((grid.rows / rows, grid.cols / cols)), shape)


def mixed(values: Tensor, other: Tensor, share: Tensor) -> Tensor:
    """Values (batch, cell, channel) with `share` (batch, cell, 1) of others mixed in, in their dtype."""
    return torch.lerp(values.float(), other.float(), share.to(values.device)).to(values.dtype)


def in_pixels(canvas: Canvas, length: float) -> float:
    """A length in canvas pixels: up to 1 it is a share of the shorter side.

    That side counts as at least an eighth of the longer one: a strip has no more windows than eight squares.
    """
    side = max(min(canvas.size), max(canvas.size) / LONGEST)
    return length * side if length <= 1 else float(length)


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
