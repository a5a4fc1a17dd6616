"""Token cell to model pixel to source pixel, and back, as 2-by-3 affines in (row, col). Pure numpy.

An affine maps [row, col, 1]; coordinates are continuous and pixel r covers [r, r + 1), so no
half-pixel corrections appear anywhere: a resize by s is exactly a scale by s.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from groundviz.record.types import Bools, Doubles, Floats, Grid, Stage


def scale_shift(scale: tuple[float, float], shift: tuple[float, float] = (0.0, 0.0)) -> Doubles:
    """The affine that multiplies (row, col) by `scale`, then adds `shift`."""
    return np.array([[scale[0], 0.0, shift[0]], [0.0, scale[1], shift[1]]])


def compose(outer: Doubles, inner: Doubles) -> Doubles:
    """The affine that applies `inner` first, then `outer`."""
    return np.asarray(outer @ np.vstack([inner, [0.0, 0.0, 1.0]]))


def invert(affine: Doubles) -> Doubles:
    """The affine that undoes `affine`.

    >>> invert(scale_shift((2.0, 4.0), (1.0, 0.0))).tolist()
    [[0.5, 0.0, -0.5], [0.0, 0.25, 0.0]]
    """
    linear = np.linalg.inv(affine[:, :2])
    return np.hstack([linear, -linear @ affine[:, 2:]])


def apply(affine: Doubles, points: Doubles) -> Doubles:
    """Map points (..., 2) of (row, col) through `affine`."""
    return np.asarray(np.asarray(points) @ affine[:, :2].T + affine[:, 2])


def source_box(grid: Grid, row: float, col: float) -> tuple[float, float, float, float]:
    """The source-pixel rectangle (top, left, bottom, right) that one cell covers, unclipped."""
    corners = apply(grid.to_source, np.array([[row, col], [row + 1.0, col + 1.0]]))
    (top, left), (bottom, right) = corners
    return float(top), float(left), float(bottom), float(right)


def cells_in_view(rows: int, cols: int, to_source: Doubles, shape: tuple[int, int]) -> Bools:
    """Which cells, bool (rows, cols), show at least a sliver of a source image of `shape`."""
    edges_row = apply(to_source, np.stack([np.arange(rows + 1), np.zeros(rows + 1)], axis=1))[:, 0]
    edges_col = apply(to_source, np.stack([np.zeros(cols + 1), np.arange(cols + 1)], axis=1))[:, 1]
    row_seen = (edges_row[1:] > 1e-6) & (edges_row[:-1] < shape[0] - 1e-6)
    col_seen = (edges_col[1:] > 1e-6) & (edges_col[:-1] < shape[1] - 1e-6)
    return row_seen[:, None] & col_seen[None, :]


def pixel_grid(
    size: tuple[int, int], to_source: Doubles, shape: tuple[int, int], *, image: int = 0, label: str = ""
) -> Grid:
    """Every pixel of an image that the model sees.

    Args:
        size: Rows and columns of the image.
        to_source: Affine from its pixels to the source image's.
        shape: Rows and columns of the source image.
        image: Which source image it is.
        label: As in `Grid`.
    """
    return Grid(
        rows=size[0],
        cols=size[1],
        positions=np.full(size[0] * size[1], -1, dtype=np.int64),
        to_source=to_source,
        valid=cells_in_view(*size, to_source, shape),
        stage="pixels",
        image=image,
        label=label,
    )


def squeezed(size: tuple[int, int], shape: tuple[int, int], *, image: int = 0, label: str = "") -> Grid:
    """Every pixel of an image to whose `size` the whole of a source image of `shape` was resized.

    >>> squeezed((2, 4), (8, 8)).to_source.tolist()
    [[4.0, 0.0, 0.0], [0.0, 2.0, 0.0]]
    """
    to_source = scale_shift((shape[0] / size[0], shape[1] / size[1]))
    return pixel_grid(size, to_source, shape, image=image, label=label)


def other_cells(
    grid: Grid, size: tuple[int, int], to_grid: Doubles, shape: tuple[int, int], stage: Stage | None = None
) -> Grid:
    """Other cells over the same image, without tokens.

    Args:
        grid: Cells of the image.
        size: Rows and columns of the other cells.
        to_grid: Affine from the other cells to those of `grid`.
        shape: Rows and columns of the source image.
        stage: Where in the model the other cells are; where those of `grid` are when None.
    """
    to_source = compose(grid.to_source, to_grid)
    return replace(
        grid,
        rows=size[0],
        cols=size[1],
        positions=np.full(size[0] * size[1], -1, dtype=np.int64),
        to_source=to_source,
        valid=cells_in_view(*size, to_source, shape),
        stage=stage or grid.stage,
    )


def held_cells(grid: Grid) -> Bools:
    """Which cells hold a value, bool (cell,): those with a token, or all where there are no tokens."""
    tokens: Bools = grid.positions >= 0
    # Pixels and windows have no tokens, and all of them hold a value.
    if not tokens.any():
        return np.ones_like(tokens)
    return tokens


def to_source_pixels(values: Floats, grid: Grid, shape: tuple[int, int], *, smooth: bool = False) -> Floats:
    """Read a map at every source pixel: float32 `shape`, NaN where the model never looked.

    Args:
        values: (grid.rows, grid.cols), raw.
        grid: Where the cells sit.
        shape: Rows and columns of the source image.
        smooth: Interpolate between cell centres (scalars, never colours) instead of showing
            each cell as a block. Never extends the model's view.
    """
    from_source = invert(grid.to_source)
    rows = from_source[0, 0] * (np.arange(shape[0]) + 0.5) + from_source[0, 2]
    cols = from_source[1, 1] * (np.arange(shape[1]) + 0.5) + from_source[1, 2]
    row_cell, col_cell = np.floor(rows).astype(int), np.floor(cols).astype(int)
    outside = ((row_cell < 0) | (row_cell >= grid.rows))[:, None] | ((col_cell < 0) | (col_cell >= grid.cols))
    row_cell, col_cell = row_cell.clip(0, grid.rows - 1), col_cell.clip(0, grid.cols - 1)
    blocks = values[np.ix_(row_cell, col_cell)]
    # Interpolation reaches beyond the outer cells; what is shown does not.
    hidden = outside | ~np.isfinite(blocks)
    shown: Floats | Doubles = blocks
    if smooth:
        shown = _between_centres(values, rows, cols)
    return np.where(hidden, np.nan, shown).astype(np.float32)


def _between_centres(values: Floats, rows: Doubles, cols: Doubles) -> Doubles:
    """Bilinear reading of `values` at cell coordinates, ignoring cells that hold no value."""
    weight_row = _hat_weights(rows, values.shape[0])
    weight_col = _hat_weights(cols, values.shape[1])
    known = np.isfinite(values)
    total = weight_row @ np.where(known, values, 0.0).astype(np.float64) @ weight_col.T
    weight = weight_row @ known.astype(np.float64) @ weight_col.T
    return np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 1e-9)


def _hat_weights(at: Doubles, count: int) -> Doubles:
    """(len(at), count) linear interpolation weights of cell centres, clamped at the border."""
    inside = np.clip(at - 0.5, 0.0, count - 1.0)
    return np.maximum(0.0, 1.0 - np.abs(inside[:, None] - np.arange(count)[None, :]))


def cell_coverage(grid: Grid, mask: Bools) -> Floats:
    """The share of each cell's area, float32 (rows, cols), that lies inside a source-pixel `mask`.

    Area outside the source image counts as outside the mask.
    """
    return area_inside(grid, mask).astype(np.float32)


def area_inside(grid: Grid, weights: Bools | Doubles) -> Doubles:
    """The sum of some weights of source pixels over each cell, float64 (rows, cols), as a share of its area.

    Args:
        grid: Where the cells sit.
        weights: (rows, cols) of the source image, such as a mask; a pixel that lies in several cells is
            divided among them.
    """
    rows, cols = _overlaps(grid, (weights.shape[0], weights.shape[1]))
    area = grid.to_source[0, 0] * grid.to_source[1, 1]
    marked_rows, marked_cols = np.flatnonzero(weights.any(axis=1)), np.flatnonzero(weights.any(axis=0))
    if not marked_rows.size:
        return np.zeros((grid.rows, grid.cols))
    # Masks are small beside their images, and nothing beyond one adds anything.
    down = slice(int(marked_rows[0]), int(marked_rows[-1]) + 1)
    across = slice(int(marked_cols[0]), int(marked_cols[-1]) + 1)
    within = weights[down, across].astype(np.float64)
    return np.asarray(rows[:, down] @ within @ cols[:, across].T / area)


def area_shown(grid: Grid, shape: tuple[int, int]) -> Doubles:
    """The share of each cell's area, float64 (rows, cols), that shows a source image of `shape`."""
    rows, cols = _overlaps(grid, shape)
    area = grid.to_source[0, 0] * grid.to_source[1, 1]
    return np.asarray(np.outer(rows.sum(axis=1), cols.sum(axis=1)) / area)


def _overlaps(grid: Grid, shape: tuple[int, int]) -> tuple[Doubles, Doubles]:
    """How far each row of cells reaches into each row of pixels, and the same of columns, in pixels."""
    rows = _overlap(grid.to_source[0, 0], grid.to_source[0, 2], grid.rows, shape[0])
    return rows, _overlap(grid.to_source[1, 1], grid.to_source[1, 2], grid.cols, shape[1])


def _overlap(scale: float, shift: float, cells: int, pixels: int) -> Doubles:
    """(cells, pixels) length of each source pixel that falls inside each cell, in source pixels."""
    start = scale * np.arange(cells)[:, None] + shift
    pixel = np.arange(pixels)[None, :]
    shared = np.minimum(start + scale, pixel + 1.0) - np.maximum(start, pixel)
    return np.asarray(np.clip(shared, 0.0, None), dtype=np.float64)
