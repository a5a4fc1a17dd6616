"""Cells of images, the tokens that stand for them, and where both are in a model's tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from groundviz.models.adapter.mismatch import check_belonging
from groundviz.models.adapter.tile_layout import COLOURS
from groundviz.record.geometry import held_cells, other_cells, scale_shift
from groundviz.record.types import Bools, Grid, Ints, Stage
from groundviz.runtime.inputs.encoded import Cells


def in_cells(
    grids: Sequence[Grid], side: tuple[float, float], shapes: Sequence[tuple[int, int]], stage: Stage
) -> list[Grid]:
    """The whole cells of `side` rows and columns of finer grids, from their corners on, without tokens.

    Args:
        grids: Pixels, or smaller cells.
        side: How many of them make one cell, down and across.
        shapes: Rows and columns of each source image.
        stage: Where in the model the cells are.
    """
    to_grid = scale_shift((float(side[0]), float(side[1])))
    return [
        other_cells(
            grid, (int(grid.rows // side[0]), int(grid.cols // side[1])), to_grid, shapes[grid.image], stage
        )
        for grid in grids
    ]


def with_tokens(grids: Sequence[Grid], tokens: Ints, held: Sequence[Bools] | None = None) -> tuple[Grid, ...]:
    """The same cells with the tokens that stand for them; those without one are not valid.

    Args:
        grids: Cells of images, without tokens.
        tokens: Positions of all tokens, grid by grid, row by row.
        held: For each grid which cells have a token, bool (cell,); all of them when None.

    Raises:
        UnsupportedModel: There are more or fewer tokens than cells.
    """
    held = held or [held_cells(grid) for grid in grids]
    cells = sum(int(has.sum()) for has in held)
    check_belonging(
        cells == len(tokens),
        f"The prompt holds {len(tokens)} image tokens, and the images have {cells} cells for them.",
    )
    found, start = [], 0
    for grid, has in zip(grids, held, strict=True):
        positions = np.full(len(has), -1, dtype=np.int64)
        positions[has] = tokens[start : start + has.sum()]
        start += int(has.sum())
        valid = grid.valid & has.reshape(grid.valid.shape)
        found.append(replace(grid, positions=positions, valid=valid, stage="language"))
    return tuple(found)


def in_order(
    images: Sequence[Grid], patches: Sequence[Grid], grids: tuple[Grid, ...], *, before: int = 0
) -> dict[str, Cells]:
    """`Encoded.cells` of a model in which all cells stand in the order of their grids.

    Args:
        images: The pixels of what the model is shown, in `pixel_values` as `planes` has them.
        patches: The patches of each.
        grids: The image tokens of each, as from `with_tokens`, for which the projector has one place each.
        before: How many tokens of the tower stand before the patches of each image.
    """
    tokens = np.concatenate([grid.positions[held_cells(grid)] for grid in grids])
    return {
        "pixels": Cells(grids=tuple(images), index=planes(images)),
        "vision": Cells(grids=tuple(patches), index=behind(patches, before)),
        "projector": Cells(grids=grids, index=np.arange(len(tokens))),
        "language": Cells(grids=grids, index=tokens),
    }


def planes(images: Sequence[Grid]) -> Ints:
    """`Cells.index` of pixels that stand as (image, colour, row, col), images one after another."""
    sizes = [grid.rows * grid.cols for grid in images]
    starts = COLOURS * np.cumsum([0, *sizes[:-1]])
    colours = [
        start + size * np.arange(COLOURS)[None, :] + np.arange(size)[:, None]
        for start, size in zip(starts, sizes, strict=True)
    ]
    return np.concatenate(colours)[None]


def behind(grids: Sequence[Grid], before: int) -> Ints:
    """`Cells.index` of grids whose cells follow one another, each grid behind `before` other tokens."""
    sizes = [grid.rows * grid.cols for grid in grids]
    starts = np.cumsum([before, *(size + before for size in sizes[:-1])])
    return np.concatenate([start + np.arange(size) for start, size in zip(starts, sizes, strict=True)])
