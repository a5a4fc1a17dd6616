"""Grids over pictures: their pixels, their patches, and where tokens stand for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from groundviz.errors import UnsupportedModel
from groundviz.geometry import cells_in_view, compose, scale_shift
from groundviz.types import Bools, Doubles, Grid, Ints, Stage


def pixel_grid(
    size: tuple[int, int], to_source: Doubles, shape: tuple[int, int], *, image: int = 0, label: str = ""
) -> Grid:
    """Every pixel of a picture that the model sees.

    Args:
        size: Rows and columns of the picture.
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


def in_cells(grid: Grid, side: tuple[float, float], shape: tuple[int, int], stage: Stage) -> Grid:
    """The whole cells of `side` rows and columns of a finer grid, from its corner on, without tokens.

    Args:
        grid: Pixels, or smaller cells.
        side: How many of them make one cell, down and across.
        shape: Rows and columns of the source image.
        stage: Where in the model the cells are.
    """
    rows, cols = int(grid.rows // side[0]), int(grid.cols // side[1])
    to_source = compose(grid.to_source, scale_shift((float(side[0]), float(side[1]))))
    return replace(
        grid,
        rows=rows,
        cols=cols,
        positions=np.full(rows * cols, -1, dtype=np.int64),
        to_source=to_source,
        valid=cells_in_view(rows, cols, to_source, shape),
        stage=stage,
    )


def with_tokens(grids: Sequence[Grid], held: Sequence[Bools], tokens: Ints) -> tuple[Grid, ...]:
    """The same cells with the tokens that stand for them; those without one are not valid.

    Args:
        grids: Cells of pictures.
        held: For each grid which cells have a token, bool (cell,).
        tokens: Positions of all tokens, grid by grid, row by row.

    Raises:
        UnsupportedModel: There are more or fewer tokens than cells.
    """
    cells = sum(int(has.sum()) for has in held)
    if cells != len(tokens):
        raise UnsupportedModel(
            f"The prompt holds {len(tokens)} image tokens, and the pictures have {cells} cells for them. "
            "Model and processor do not belong together; load the processor of this checkpoint."
        )
    found, start = [], 0
    for grid, has in zip(grids, held, strict=True):
        positions = np.full(len(has), -1, dtype=np.int64)
        positions[has] = tokens[start : start + has.sum()]
        start += int(has.sum())
        valid = grid.valid & has.reshape(grid.valid.shape)
        found.append(replace(grid, positions=positions, valid=valid, stage="language"))
    return tuple(found)


def planes(pictures: Sequence[Grid]) -> Ints:
    """`Cells.index` of pixels that stand as (picture, colour, row, col), pictures one after another."""
    sizes = [grid.rows * grid.cols for grid in pictures]
    starts = 3 * np.cumsum([0, *sizes[:-1]])
    colours = [
        start + size * np.arange(3)[None, :] + np.arange(size)[:, None]
        for start, size in zip(starts, sizes, strict=True)
    ]
    return np.concatenate(colours)[None]


def behind(grids: Sequence[Grid], first: int) -> Ints:
    """`Cells.index` of grids whose cells follow one another, each grid behind `first` other tokens."""
    sizes = [grid.rows * grid.cols for grid in grids]
    starts = np.cumsum([0, *(first + size for size in sizes)])
    return np.concatenate(
        [start + first + np.arange(size) for start, size in zip(starts, sizes, strict=False)]
    )
