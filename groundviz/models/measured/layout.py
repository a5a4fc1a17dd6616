"""How the pixels of the images lie in a model's image inputs: in blocks, each a rectangle of pixels.

A block is an image or a tile, in an input (..., colour, row, col) or (..., row, col, colour); or one flattened
patch, in an input (..., patch, number). Within it source rows and columns are straight lines, which are fitted:
so the numbers of padding have places, too, beyond the image's border.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from groundviz.models.measured.ramps import COLOURS, Shape, Shown
from groundviz.models.measured.unmeasurable import Unmeasurable
from groundviz.record.geometry import apply, scale_shift
from groundviz.record.types import Bools, Doubles, Ints

# What is enlarged is flat within half a source pixel of the border, where a ramp tells nothing.
FLAT = 0.75
# Rows at each end of a block that are left out of the fit: resampling has no neighbours there.
RIM = 2


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A rectangle of pixels.

    Attributes:
        image: Which source image it shows.
        to_source: Affine from its pixels to the source image's.
        index: int (copy, row, col, colour), where its numbers stand among those of all image inputs.
    """

    image: int
    to_source: Doubles
    index: Ints

    @property
    def size(self) -> Shape:
        """Rows and columns."""
        return self.index.shape[1], self.index.shape[2]

    @property
    def centre(self) -> Doubles:
        """The source row and column of its middle."""
        return apply(self.to_source, np.array(self.size) / 2)

    @property
    def extent(self) -> Doubles:
        """How many source rows and columns it covers."""
        return np.diag(self.to_source[:, :2]) * self.size

    def places(self) -> Doubles:
        """The source row and column of each of its numbers, float (copy, row, col, colour, 2)."""
        rows, cols = np.mgrid[: self.size[0], : self.size[1]] + 0.5
        at = apply(self.to_source, np.stack([rows, cols], axis=-1))
        return np.broadcast_to(at[None, :, :, None], (*self.index.shape, 2))


def blocks_of(inputs: Sequence[Shown], shapes: Sequence[Shape]) -> list[Block]:
    """The blocks of all image inputs, in their order there; empty ones are left out.

    Raises:
        Unmeasurable: The pixels of an input lie in no blocks.
    """
    found: list[Block] = []
    start = 0
    for shown in inputs:
        found += _with_steps(list(_blocks(shown, start, shapes)), shapes)
        start += shown.awake.size
    return found


def _blocks(shown: Shown, start: int, shapes: Sequence[Shape]) -> Iterator[Block]:
    sides = tuple(side for side in shown.awake.shape if side > 1)
    while len(sides) < 3:
        sides = (1, *sides)
    numbers = start + np.arange(shown.awake.size).reshape(sides)
    flat = Shown(
        shown.name,
        shown.awake.reshape(sides),
        shown.image.reshape(sides),
        shown.colour.reshape(sides),
        shown.at.reshape(*sides, 2),
    )
    axis = _colour_axis(flat)
    if axis is None:
        yield from _patches(flat, numbers, shapes)
        return
    leading = sides[:-3]
    for at in np.ndindex(*leading):
        rows_cols_colours = [np.moveaxis(one[at], axis, 2) for one in (flat.awake, flat.image, numbers)]
        awake, image, index = rows_cols_colours
        places = np.moveaxis(flat.at[at], axis, 2)
        block = _fitted(awake, image, places, index, shapes)
        if block is not None:
            yield block


def _colour_axis(shown: Shown) -> int | None:
    """Along which of the last three axes the colours lie; None where they lie along none."""
    for axis in (0, 2):
        whole = shown.colour.ndim - 3 + axis
        if shown.colour.shape[whole] != COLOURS:
            continue
        along = np.moveaxis(shown.colour, whole, -1)
        awake = np.moveaxis(shown.awake, whole, -1)
        if np.mean((along == np.arange(COLOURS))[awake]) > 0.95:
            return axis
    return None


def _fitted(awake: Bools, image: Ints, at: Doubles, index: Ints, shapes: Sequence[Shape]) -> Block | None:
    """The block of pixels (row, col, colour); None where it shows nothing.

    A step is NaN where one row or column alone is known.
    """
    seen = awake.all(axis=2)
    if not seen.any():
        return None
    number = int(np.bincount(image[awake]).argmax())
    lines = []
    for axis in (0, 1):
        places = np.where(seen, at[..., axis].mean(axis=2), np.nan)
        known = np.flatnonzero(seen.any(axis=1 - axis))
        profile = np.nanmean(np.take(places, known, axis=axis), axis=1 - axis)
        lines.append(_line(known + 0.5, profile, shapes[number][axis]))
    steps, shifts = zip(*lines, strict=True)
    return Block(number, scale_shift(steps, shifts), index[None])


def _line(positions: Doubles, values: Doubles, side: int) -> tuple[float, float]:
    """Step and start of a straight line through values at positions, where they are not flat."""
    sure = (values > FLAT) & (values < side - FLAT)
    if sure.sum() > 4 * RIM:
        ends = np.flatnonzero(sure)
        sure[ends[:RIM]] = sure[ends[-RIM:]] = False
    if sure.sum() < 2:
        sure[:] = True
    positions, values = positions[sure], values[sure]
    if len(values) < 2 or np.ptp(values) < 1e-3:
        # One row alone, or a side of one pixel: what is known is where its middle is.
        return np.nan, float(values.mean())
    step, start = np.polyfit(positions, values, 1)
    return float(step), float(start)


def _with_steps(blocks: list[Block], shapes: Sequence[Shape]) -> list[Block]:
    """Blocks whose unknown steps are those of other blocks, or such that a block covers its image."""
    done = []
    for block in blocks:
        affine = block.to_source.copy()
        for axis in (0, 1):
            if np.isnan(affine[axis, axis]):
                middle = affine[axis, 2]
                others = [one.to_source[axis, axis] for one in blocks if one.size == block.size]
                step = np.nanmedian(others) if not np.all(np.isnan(others)) else np.nan
                if np.isnan(step):
                    step, middle = shapes[block.image][axis] / block.size[axis], shapes[block.image][axis] / 2
                affine[axis] = 0.0
                affine[axis, axis], affine[axis, 2] = step, middle - step * block.size[axis] / 2
        done.append(replace(block, to_source=affine))
    return done


def _patches(shown: Shown, numbers: Ints, shapes: Sequence[Shape]) -> Iterator[Block]:
    """One block for each flattened patch: source places are the patch's own and that within a patch."""
    width = shown.awake.shape[-1]
    awake, index = shown.awake.reshape(-1, width), numbers.reshape(-1, width)
    at, image = shown.at.reshape(-1, width, 2), shown.image.reshape(-1, width)
    sides = np.array(shapes)[image]
    sure = awake & ((at > FLAT) & (at < sides - FLAT)).all(axis=-1)
    whole = sure.all(axis=1)
    if not whole.any():
        whole = awake.all(axis=1)
    if not whole.any():
        raise Unmeasurable("none of its patches shows the image whole")
    within = (at[whole] - at[whole].mean(axis=1, keepdims=True)).mean(axis=0)
    colour = np.median(shown.colour.reshape(-1, width)[whole], axis=0).astype(np.int64)
    steps, order = _order_within(within, colour)
    for patch in np.flatnonzero(awake.any(axis=1)):
        known = sure[patch] if sure[patch].any() else awake[patch]
        middle = (at[patch] - within)[known].mean(axis=0)
        size = np.array(order.shape[1:3])
        number = int(np.bincount(image[patch][awake[patch]]).argmax())
        start = middle - steps * size / 2
        yield Block(number, scale_shift(tuple(steps), tuple(start)), index[patch][order])


def _order_within(within: Doubles, colour: Ints) -> tuple[Doubles, Ints]:
    """The step from pixel to pixel within a patch, and its numbers as int (copy, row, col, colour)."""
    levels, steps = [], []
    for axis in (0, 1):
        level, step = _levels(within[:, axis], len(within))
        levels.append(level)
        steps.append(step)
    rows, cols = (int(level.max()) + 1 for level in levels)
    # Numbers of one place and colour are copies: in the order in which they stand.
    order = np.lexsort((np.arange(len(within)), colour, levels[1], levels[0]))
    copies = len(within) // (rows * cols * COLOURS)
    if copies * rows * cols * COLOURS != len(within):
        raise Unmeasurable("the numbers of its patches are no rectangle of pixels in three colours")
    placed = order.reshape(rows, cols, COLOURS, copies)
    return np.array(steps), np.moveaxis(placed, -1, 0)


def _levels(values: Doubles, count: int) -> tuple[Ints, float]:
    """The rank of each value among the different ones, and the step between these."""
    order = np.argsort(values, kind="stable")
    gaps = np.diff(values[order])
    least = np.ptp(values) / (4 * np.sqrt(count / COLOURS))
    ranks = np.zeros(len(values), dtype=np.int64)
    ranks[order[1:]] = np.cumsum(gaps > least)
    if ranks.max() == 0:
        return ranks, float(max(np.ptp(values), 1.0))
    step, _ = np.polyfit(ranks, values, 1)
    return ranks, float(step)
