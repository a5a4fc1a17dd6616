"""How the pixels of the images lie in a model's image inputs: in blocks, each a rectangle of pixels.

A block is an image or a tile, in an input (..., colour, row, col) or (..., row, col, colour); or one
flattened patch, in an input (..., patch, number). Within it source rows and columns are straight lines, which
are fitted: so the numbers of padding have places, too, beyond the image's border.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from groundviz.models.adapter.unmeasurable import Unmeasurable
from groundviz.models.measured.ramps import COLOURS, Shape, Shown
from groundviz.record.geometry import apply, scale_shift
from groundviz.record.types import Bools, Doubles, Ints

# What is enlarged is bent within two source pixels of the border, where a ramp tells nothing.
FLAT = 2.0
# A side that is shorter has nothing but border.
LEAST_SIDE = 8
# Rows at each end of a block that are left out of the fit: resampling has no neighbours there.
RIM = 2
# Steps of blocks of one size differ by less where they show an image alike; so many are many.
ALIKE, MANY = 1.4, 16
# In a long image one level of grey is many rows. A step below this share of what many others have is that of
# a block within one level, which tells nothing.
FLATTER = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A rectangle of pixels.

    Attributes:
        image: Which source image it shows.
        to_source: Affine from its pixels to the source image's.
        index: int (copy, row, col, colour), where its numbers stand among those of all image inputs.
        part: Which input it is in, and at which place along its first axis.
    """

    image: int
    to_source: Doubles
    index: Ints
    part: tuple[int, int]

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

    @property
    def box(self) -> Doubles:
        """Where it lies in the source image: (top, left, bottom, right)."""
        return np.concatenate([self.to_source[:, 2], self.to_source[:, 2] + self.extent])

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
    shortest = min(min(shape) for shape in shapes)
    if shortest < LEAST_SIDE:
        raise Unmeasurable(f"a side of {shortest} pixels is too short, expected {LEAST_SIDE} at least")
    found: list[Block] = []
    start = 0
    for number, shown in enumerate(inputs):
        drafts = list(_drafts(shown, start, shapes))
        first = shown.awake.size // len(shown.awake)
        steps: dict[tuple[Shape, int], list[list[float]]] = {}
        for draft in drafts:
            steps.setdefault(draft.kind, []).append([line.step for line in draft.lines])
        known = {kind: np.array(of_all) for kind, of_all in steps.items()}
        for draft in drafts:
            part = number, int(draft.index.min() - start) // first
            found.append(_settled(draft, known[draft.kind], shapes, part))
        start += shown.awake.size
    return found


@dataclass(frozen=True, slots=True)
class _Line:
    """A straight line along one axis of a block.

    Attributes:
        step: Source pixels from one pixel to the next; NaN where it is not known.
        position: A position in the block.
        value: The source row or column there.
    """

    step: float
    position: float
    value: float


@dataclass(frozen=True, slots=True, eq=False)
class _Draft:
    """A block whose steps may be unknown."""

    image: int
    lines: tuple[_Line, _Line]
    index: Ints

    @property
    def size(self) -> Shape:
        return self.index.shape[1], self.index.shape[2]

    @property
    def kind(self) -> tuple[Shape, int]:
        """Its size and its image: blocks that share both may have the same steps."""
        return self.size, self.image


def _settled(draft: _Draft, steps_alike: Doubles, shapes: Sequence[Shape], part: tuple[int, int]) -> Block:
    """A block whose steps are those of its fit; of many alike the median, which has less noise.

    Where no step is known, the block covers its image.

    Args:
        draft: What is fitted.
        steps_alike: The steps of all drafts of its kind, float (draft, 2).
        shapes: Rows and columns of each source image.
        part: As in `Block`.
    """
    steps, starts = [], []
    for axis, line in enumerate(draft.lines):
        known = steps_alike[:, axis]
        known = known[~np.isnan(known)]
        step, position, value = line.step, line.position, line.value
        if len(known) >= MANY and step < FLATTER * np.median(known):
            step = np.nan
        near = known[np.abs(np.log(known / step)) < np.log(ALIKE)] if step > 0 else known
        if len(near) >= MANY or (np.isnan(step) and len(known)):
            step = float(np.median(near))
        if np.isnan(step):
            side = shapes[draft.image][axis]
            step, position, value = side / draft.size[axis], draft.size[axis] / 2, side / 2
        steps.append(step)
        starts.append(value - step * position)
    to_source = scale_shift((steps[0], steps[1]), (starts[0], starts[1]))
    return Block(draft.image, to_source, draft.index, part)


def _drafts(shown: Shown, start: int, shapes: Sequence[Shape]) -> Iterator[_Draft]:
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
    for at in np.ndindex(*sides[:-3]):
        pixels = _Pixels(
            np.moveaxis(flat.awake[at], axis, 2),
            np.moveaxis(flat.image[at], axis, 2),
            np.moveaxis(flat.at[at], axis, 2),
            np.moveaxis(numbers[at], axis, 2),
        )
        yield from _straight(pixels, shapes)


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


@dataclass(frozen=True, slots=True, eq=False)
class _Pixels:
    """A rectangle of pixels as it lies in an input, each array (row, col, colour, ...)."""

    awake: Bools
    image: Ints
    at: Doubles
    index: Ints

    def columns(self, part: slice) -> _Pixels:
        return _Pixels(self.awake[:, part], self.image[:, part], self.at[:, part], self.index[:, part])


def _straight(pixels: _Pixels, shapes: Sequence[Shape]) -> Iterator[_Draft]:
    """The block of some pixels, or the square patches that they are a strip of.

    Raises:
        Unmeasurable: Source rows and columns are straight lines in neither.
    """
    draft = _fitted(pixels, shapes)
    if draft is None:
        return
    if _is_straight(draft, pixels):
        yield draft
        return
    rows, cols = draft.size
    if cols % rows or cols == rows:
        raise Unmeasurable("the pixels of its image inputs lie in no straight rows and columns")
    for start in range(0, cols, rows):
        yield from _straight(pixels.columns(slice(start, start + rows)), shapes)


def _fitted(pixels: _Pixels, shapes: Sequence[Shape]) -> _Draft | None:
    """Straight lines through what is known of some pixels; None where they show nothing."""
    seen: Bools = np.asarray(pixels.awake.all(axis=2))
    if not seen.any():
        return None
    number = int(np.bincount(pixels.image[pixels.awake]).argmax())
    lines = []
    for axis in (0, 1):
        places = np.where(seen, pixels.at[..., axis].mean(axis=2), np.nan)
        known = np.flatnonzero(seen.any(axis=1 - axis))
        profile: Doubles = np.asarray(
            np.nanmean(np.take(places, known, axis=axis), axis=1 - axis), dtype=np.float64
        )
        lines.append(_line(known.astype(np.float64) + 0.5, profile, shapes[number][axis]))
    return _Draft(number, (lines[0], lines[1]), pixels.index[None])


def _is_straight(draft: _Draft, pixels: _Pixels) -> bool:
    """Whether most pixels lie where the lines say, within a pixel and the rounding of a ramp."""
    far = np.zeros(pixels.awake.shape, dtype=bool)
    for axis, line in enumerate(draft.lines):
        if np.isnan(line.step):
            continue
        positions = np.arange(draft.size[axis]) + 0.5
        places = line.value + line.step * (positions - line.position)
        places = places[:, None, None] if axis == 0 else places[None, :, None]
        extent = np.ptp(pixels.at[..., axis][pixels.awake])
        far |= np.abs(places - pixels.at[..., axis]) > abs(line.step) + 1 + extent / 16
    return bool(far[pixels.awake].mean() < 0.5)


def _line(positions: Doubles, values: Doubles, side: int) -> _Line:
    """A straight line through values at positions, where they are not flat."""
    sure = (values > FLAT) & (values < side - FLAT)
    if sure.sum() > 4 * RIM:
        ends = np.flatnonzero(sure)
        sure[ends[:RIM]] = sure[ends[-RIM:]] = False
    if sure.sum() < 2:
        sure[:] = True
    return _through(positions[sure], values[sure])


def _patches(shown: Shown, numbers: Ints, shapes: Sequence[Shape]) -> Iterator[_Draft]:
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
    levels = np.stack([_levels(within[:, axis]) for axis in (0, 1)], axis=1)
    order = _order_within(levels, colour)
    for patch in np.flatnonzero(awake.any(axis=1)):
        known = sure[patch] if sure[patch].any() else awake[patch]
        number = int(np.bincount(image[patch][awake[patch]]).argmax())
        lines = [_through(levels[known, axis] + 0.5, at[patch][known, axis]) for axis in (0, 1)]
        yield _Draft(number, (lines[0], lines[1]), index[patch][order])


def _through(positions: Doubles, values: Doubles) -> _Line:
    """The straight line through some values."""
    apart = positions - positions.mean()
    step = np.nan
    if apart.any():
        step = float((apart * values).sum() / (apart * apart).sum())
    return _Line(step if step > 0 else np.nan, float(positions.mean()), float(values.mean()))


def _order_within(levels: Ints, colour: Ints) -> Ints:
    """The numbers of a patch as int (copy, row, col, colour), given the row and column of each."""
    rows, cols = (levels.max(axis=0) + 1).tolist()
    # Numbers of one place and colour are copies: in the order in which they stand.
    order = np.lexsort((np.arange(len(levels)), colour, levels[:, 1], levels[:, 0]))
    copies = len(levels) // (rows * cols * COLOURS)
    if copies * rows * cols * COLOURS != len(levels):
        raise Unmeasurable("the numbers of its patches are no rectangle of pixels in three colours")
    return np.moveaxis(order.reshape(rows, cols, COLOURS, copies), -1, 0)


def _levels(values: Doubles) -> Ints:
    """The rank of each value among the different ones."""
    order = np.argsort(values, kind="stable")
    least = np.ptp(values) / (4 * np.sqrt(len(values) / COLOURS))
    ranks = np.zeros(len(values), dtype=np.int64)
    ranks[order[1:]] = np.cumsum(np.diff(values[order]) > least)
    return ranks
