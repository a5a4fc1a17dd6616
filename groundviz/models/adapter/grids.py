"""Cells of images, the tokens that stand for them, and the positions of both in a model's tensors."""

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
    """Joins cells to larger ones; a rest at the right or at the bottom that fills no cell is left out.

    Args:
        grids: Pixels, or smaller cells.
        side: How many rows and columns of them make one cell.
        shapes: Rows and columns of each source image.
        stage: The stage of the larger cells.

    Returns:
        One grid of larger cells for each grid, without tokens.
    """
    down, across = side
    to_grid = scale_shift((float(down), float(across)))
    larger = []
    for grid in grids:
        size = int(grid.rows // down), int(grid.cols // across)
        larger.append(other_cells(grid, size, to_grid, shapes[grid.image], stage))
    return larger


def with_tokens(grids: Sequence[Grid], tokens: Ints, held: Sequence[Bools] | None = None) -> tuple[Grid, ...]:
    """The same cells with the tokens that stand for them; a cell without a token is not valid.

    Args:
        grids: Cells of images, without tokens.
        tokens: Positions of all tokens, grid by grid, row by row.
        held: For each grid which cells have a token, bool (cell,); all valid cells when None.

    Raises:
        UnsupportedModel: There are more or fewer tokens than cells.
    """
    held = held or [held_cells(grid) for grid in grids]
    cells = sum(int(has.sum()) for has in held)
    check_belonging(
        cells == len(tokens),
        f"The prompt holds {len(tokens)} image tokens, and the images have {cells} cells for them.",
    )
    placed, start = [], 0
    for grid, has in zip(grids, held, strict=True):
        positions = np.full(len(has), -1, dtype=np.int64)
        positions[has] = tokens[start : start + has.sum()]
        start += int(has.sum())
        valid = grid.valid & has.reshape(grid.valid.shape)
        placed.append(replace(grid, positions=positions, valid=valid, stage="language"))
    return tuple(placed)


def in_order(
    images: Sequence[Grid], patches: Sequence[Grid], grids: tuple[Grid, ...], *, before: int = 0
) -> dict[str, Cells]:
    """`Encoded.cells` of a model in which cells at all stages are in the order of their grids.

    Args:
        images: The pixels of what the model is shown, in the order of `pixel_values`.
        patches: The patches of each.
        grids: The image tokens of each, from `with_tokens`; the projector has one place for each token.
        before: How many tokens of the tower precede the patches of each image.
    """
    tokens = np.concatenate([grid.positions[held_cells(grid)] for grid in grids])
    return {
        "pixels": Cells(grids=tuple(images), index=planes(images)),
        "vision": Cells(grids=tuple(patches), index=behind(patches, before)),
        "projector": Cells(grids=grids, index=np.arange(len(tokens))),
        "language": Cells(grids=grids, index=tokens),
    }


def planes(images: Sequence[Grid]) -> Ints:
    """`Cells.index` of pixels in a tensor (image, colour, row, col), images one after another."""
    index, start = [], 0
    for grid in images:
        size = grid.rows * grid.cols
        # The colours of a pixel are one plane apart.
        index.append(start + size * np.arange(COLOURS)[None, :] + np.arange(size)[:, None])
        start += COLOURS * size
    return np.concatenate(index)[None]


def behind(grids: Sequence[Grid], before: int) -> Ints:
    """`Cells.index` of cells in order, where `before` other tokens precede the cells of each grid."""
    index, start = [], 0
    for grid in grids:
        size = grid.rows * grid.cols
        start += before
        index.append(start + np.arange(size))
        start += size
    return np.concatenate(index)
