"""Joins tiles that are side by side without gaps, so that their cells are one grid over the image."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from groundviz.record.types import Ints

COLOURS = 3


def join_tiles(tiles: Ints, down: int, across: int) -> Ints:
    """Numbers of single tiles in the order of the canvas: row by row, through all tiles of a row.

    Args:
        tiles: A number for each place of each tile, int (tile, row, col, ...), tiles row by row. Tiles
            beyond down * across are left out.
        down: Rows of tiles.
        across: Columns of tiles.

    Returns:
        int (cell of the canvas, ...).

    >>> join_tiles(np.arange(8).reshape(2, 2, 2), 1, 2).tolist()
    [0, 1, 4, 5, 2, 3, 6, 7]
    """
    _, rows, cols, *rest = tiles.shape
    blocks = tiles[: down * across].reshape(down, across, rows, cols, *rest)
    return np.asarray(blocks.swapaxes(1, 2).reshape(-1, *rest))


def join_all_tiles(stacks: Iterable[Ints], sizes: Iterable[tuple[int, int]]) -> Ints:
    """`join_tiles` of several canvases, one after another.

    Args:
        stacks: The tiles of each canvas.
        sizes: Rows and columns of tiles of each canvas.
    """
    return np.concatenate([join_tiles(tiles, *size) for tiles, size in zip(stacks, sizes, strict=True)])


def tile_pixels(count: int, side: int) -> Ints:
    """Positions of the pixels' numbers in a flattened stack (tile, colour, row, col).

    Args:
        count: How many tiles there are.
        side: Rows and columns of a tile, in pixels.

    Returns:
        int (tile, row, col, colour).

    >>> tile_pixels(1, 2)[0, 0].tolist()
    [[0, 4, 8], [1, 5, 9]]
    """
    stack = np.arange(count * COLOURS * side**2).reshape(count, COLOURS, side, side)
    return np.asarray(np.moveaxis(stack, 1, -1))
