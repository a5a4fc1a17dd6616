"""Tiles that lie side by side without gaps, so that their cells are one grid over the image."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from groundviz.record.types import Ints

COLOURS = 3


def side_by_side(tiles: Ints, down: int, across: int) -> Ints:
    """Numbers (tile, row, col, ...) in the rows and columns of the canvas, one after another.

    Args:
        tiles: A number for each place of each tile; tiles row by row. There may be more of them.
        down: Rows of tiles.
        across: Columns of tiles.

    >>> side_by_side(np.arange(8).reshape(2, 2, 2), 1, 2).tolist()
    [0, 1, 4, 5, 2, 3, 6, 7]
    """
    _, rows, cols, *rest = tiles.shape
    blocks = tiles[: down * across].reshape(down, across, rows, cols, *rest)
    return np.asarray(blocks.swapaxes(1, 2).reshape(-1, *rest))


def laid_out(stacks: Iterable[Ints], sizes: Iterable[tuple[int, int]]) -> Ints:
    """`side_by_side` of several canvases, given the tiles of each and its rows and columns of them."""
    return np.concatenate([side_by_side(own, *size) for own, size in zip(stacks, sizes, strict=True)])


def tile_pixels(count: int, side: int) -> Ints:
    """Where the numbers of each pixel stand in a stack (tile, colour, row, col): (tile, row, col, colour).

    >>> tile_pixels(1, 2)[0, 0].tolist()
    [[0, 4, 8], [1, 5, 9]]
    """
    stack = np.arange(count * COLOURS * side**2).reshape(count, COLOURS, side, side)
    return np.asarray(np.moveaxis(stack, 1, -1))
