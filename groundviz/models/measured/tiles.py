"""The tiles and crops of images: which belong together, and what they are called."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from groundviz.models.measured.lattice import ALIKE, View
from groundviz.models.measured.layout import Block
from groundviz.models.measured.wiring import Wiring
from groundviz.record.types import Doubles, Ints

Shape = tuple[int, int]
# A view of at least this share of an image along both sides shows the whole of it.
WHOLE = 0.95
# Tiles that differ in extent by less lie side by side as one mosaic; more than this are crops of their own.
EVEN = 1.02


def tile_of_tokens(blocks: Sequence[Block], wiring: Wiring) -> Ints:
    """The tile that feeds each image token, or the mosaic that tiles are part of; int (image token,).

    All have one number where blocks are patches rather than tiles, each of which feeds one token at most.
    """
    number = np.zeros(wiring.tokens, dtype=np.int64)
    fed_by = []
    for block in blocks:
        fed = np.unique(wiring.token[block.index[0, :, :, 0]])
        fed = fed[fed >= 0]
        if len(fed) == 1:
            return number
        fed_by.append(fed)
    mosaics: list[list[int]] = []
    for this, block in enumerate(blocks):
        first = blocks[mosaics[-1][0]] if mosaics else block
        same_input = (first.image, first.part[0]) == (block.image, block.part[0])
        if not mosaics or not same_input or _ratio(first, block) > ALIKE:
            mosaics.append([])
        mosaics[-1].append(this)
    count = 0
    for mosaic in mosaics:
        uneven = max(_ratio(blocks[mosaic[0]], blocks[this]) for this in mosaic) > EVEN
        for this in mosaic:
            number[fed_by[this]] = count
            count += uneven
        count += 1
    return number


def _ratio(one: Block, other: Block) -> float:
    """How much larger one block's extent is than another's, or the other's than its."""
    return float(np.exp(np.abs(np.log(one.extent / other.extent)).max()))


def labels_of(found: Sequence[View], boxes: Sequence[Doubles], shapes: Sequence[Shape]) -> list[str]:
    """What tells the views of one image apart: the coarsest that shows the whole, then the tiles.

    Args:
        found: The views.
        boxes: The part of its image that the pixels of each show.
        shapes: Rows and columns of each source image.
    """
    labels = [""] * len(found)
    for image in range(len(shapes)):
        own = [number for number, view in enumerate(found) if view.image == image]
        if len(own) < 2:
            continue
        whole = [number for number in own if _shows_whole(boxes[number], shapes[image])]
        tiles = list(own)
        if whole:
            overview = max(whole, key=lambda number: np.diag(found[number].to_source[:, :2]).prod())
            labels[overview] = "overview"
            tiles.remove(overview)
        for count, number in enumerate(tiles, start=1):
            labels[number] = "tiles" if len(tiles) == 1 else f"tile {count} of {len(tiles)}"
    return labels


def boxes_of(blocks: Sequence[Block], groups: Ints, count: int) -> list[Doubles]:
    """The box (top, left, bottom, right) around the blocks of each of so many groups."""
    boxes = [np.array([np.inf, np.inf, -np.inf, -np.inf]) for _ in range(count)]
    for block, group in zip(blocks, groups.tolist(), strict=True):
        own = block.box
        boxes[group][:2] = np.minimum(boxes[group][:2], own[:2])
        boxes[group][2:] = np.maximum(boxes[group][2:], own[2:])
    return boxes


def _shows_whole(box: Doubles, shape: Shape) -> bool:
    covered = np.minimum(box[2:], shape) - np.maximum(box[:2], 0)
    return bool((covered >= WHOLE * np.array(shape)).all())
