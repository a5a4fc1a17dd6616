"""Where image tokens lie, measured without gradients: parts of the image are changed, and tokens change.

An image that becomes entries of a codebook, or that runs through quantised layers, passes no gradient on.
What a token depends on is then seen by finite differences, with attention silenced as in `wiring`. How many
image tokens there are tells the lattice on which they may lie. Each cell of it has a number, and each pass
changes the cells whose number has a certain bit, or has it not. So a token spells the number of its cell.

::

    cell       0 1 2 3 4 5 6 7
    bit 0        x   x   x   x      a token that changes with these, ...
    not        x   x   x   x
    bit 1          x x     x x      ... and not with these,
    not        x x     x x
    bit 2              x x x x      ... and with these, lies over cell 5
    not        x x x x

A token that changes with a bit and with its opposite depends on several cells: the lattice is another one, or
there is none.

Entries of a codebook change in leaps, or not at all. So where the best of some scores is chosen, the scores
are compared in place of the tokens; then other choices are made at those places whose number has a certain
bit, and tokens spell which place is theirs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from groundviz.errors import UnsupportedMethod
from groundviz.models.adapter.unmeasurable import Unmeasurable
from groundviz.models.measured.arrival import stream_at
from groundviz.models.measured.geometry import MOST_AREAS, Area, joined
from groundviz.models.measured.layout import Block
from groundviz.models.measured.ramps import Shape
from groundviz.models.measured.silence import Still
from groundviz.models.measured.wiring import Wiring, layers_of_text, trace
from groundviz.record.geometry import compose, scale_shift
from groundviz.record.types import Bools, Doubles, Ints
from groundviz.runtime.loan.guard import Loan
from groundviz.runtime.loan.preflight import watch_gradients
from groundviz.runtime.passes.forward import PROMPT

# A place has changed if it did by more than this share of what it does when the whole image changes: layers
# that quantise by the largest number of all let each place change with all others, by up to a tenth.
CHANGED = 0.2
# New values may be much like the ones before, so that a place does not change: how often others are tried.
TRIES = 8
# Passes with the whole image changed.
WHOLE = 3
# A pixel beyond the border of the image by less, in pixels, is a matter of rounding.
SLACK = 0.25
# Lattices that are tried, that of the squarest cells first.
MOST_LATTICES = 4
# Numbers that change together along each side: trained codebooks have few entries for finer noise.
GRAIN = 3


def wired(
    loan: Loan,
    inputs: Mapping[str, Tensor],
    names: Sequence[str],
    blocks: Sequence[Block],
    shapes: Sequence[Shape],
) -> Wiring:
    """What feeds what: by gradients, or by finite differences where the text has none from the image.

    Cost: that of `trace`, or that of `trace_by_differences`.

    Args:
        loan: The loan of the model.
        inputs: Keyword tensors of its forward, on its device.
        names: Those that hold the image.
        blocks: How pixels lie in them.
        shapes: Rows and columns of each source image.

    Raises:
        Unmeasurable: Neither way finds single places of single image tokens.
    """
    found, reason = None, Unmeasurable("no gradient passes its layers")
    unwatch = watch_gradients(loan)
    try:
        return trace(loan, inputs, names)
    except Unmeasurable as why:
        reason = why
    except UnsupportedMethod:
        # A quantised layer drops the gradient: what is left of it flows past that layer.
        pass
    finally:
        unwatch()
    try:
        layers, reached = layers_of_text(loan, inputs, names)
        if not reached:
            found = trace_by_differences(loan, inputs, names, _areas(blocks, shapes), layers)
    except Unmeasurable:
        pass
    if found is None:
        raise reason
    return found


def trace_by_differences(
    loan: Loan,
    inputs: Mapping[str, Tensor],
    names: Sequence[str],
    areas: Sequence[Area],
    layers: nn.ModuleList,
) -> Wiring:
    """Follow the image through a borrowed model to its image tokens, without gradients.

    Cost: passes through what stands before the layers that read the prompt: four, and two for each bit of the
    number of image tokens, twice that many for a codebook; about 45 for a codebook's 1,024 tokens. What does
    not fit is tried again with convolutions that do not overlap.

    Args:
        loan: The loan of the model.
        inputs: Keyword tensors of its forward, on its device.
        names: Those that hold the image.
        areas: The rectangles of pixels in them, whose cells are looked for.
        layers: The layers that read the prompt.

    Raises:
        Unmeasurable: No token changes with the image, or they lie on no even lattice.
    """
    ids = inputs[PROMPT][0].cpu().numpy()
    if len(areas) > MOST_AREAS:
        raise Unmeasurable("the parts of its image inputs do not fit together")
    for narrow, pooled in ((False, False), (True, False), (False, True), (True, True)):
        passes = _Passes(loan, inputs, names, layers, Still(narrow=narrow, pooled=pooled), areas)
        fed = passes.whole_image()
        if not len(fed):
            raise Unmeasurable("none changes with the image")
        owner = _owners(passes, fed)
        at = None
        if owner is not None:
            at = passes.positions_of(fed)
        if owner is None or at is None:
            continue
        positions = np.flatnonzero(np.isin(ids, ids[at]))
        token = np.where(owner >= 0, np.searchsorted(positions, at)[owner], -1)
        return Wiring(
            positions=positions,
            ids=frozenset(ids[positions].tolist()),
            token=token,
            middle=None,
            # Cells without gradients are found between even places alone.
            resampled=frozenset(),
            width=passes.width,
            layers=layers,
            tower=None,
            projector=None,
            projected=np.full(len(positions), -1, dtype=np.int64),
            projector_place=None,
        )
    raise Unmeasurable("no even lattice of cells was found that they change with, one token for each cell")


def _owners(passes: _Passes, fed: Ints) -> Ints | None:
    """Which of the places that are fed each number of the image inputs feeds, -1 for none.

    None where there is no lattice with one place for each cell.
    """
    areas = passes.areas
    area_of_number = np.full(passes.numbers, -1, dtype=np.int64)
    for number, area in enumerate(areas):
        area_of_number[area.index] = number
    area_of = passes.spelled(area_of_number, len(areas), fed)
    if area_of is None:
        return None
    held = np.bincount(area_of, minlength=len(areas))
    for attempt in range(MOST_LATTICES):
        cell_of_number = _cells(areas, held, attempt, passes.numbers)
        cell_of = passes.spelled(cell_of_number, len(fed), fed)
        if cell_of is not None and len(np.unique(cell_of)) == len(fed):
            # One more cell stands for the numbers in none.
            owner = np.full(len(fed) + 1, -1, dtype=np.int64)
            owner[cell_of] = np.arange(len(fed))
            return owner[cell_of_number]
    return None


def _cells(areas: Sequence[Area], tokens: Ints, attempt: int, numbers: int) -> Ints:
    """The cell of each number of the image inputs, -1 for none: as many cells in each area as it has tokens.

    Args:
        areas: The areas of the image inputs.
        tokens: How many tokens each has.
        attempt: Which lattice is tried.
        numbers: How many numbers the image inputs have.
    """
    cell = np.full(numbers, -1, dtype=np.int64)
    count = 0
    for area, own in zip(areas, tokens.tolist(), strict=True):
        if not own:
            continue
        lattices = _lattices(own, area.index.shape[1:3])
        rows, cols = lattices[min(attempt, len(lattices) - 1)]
        down, across = area.index.shape[1:3]
        row, col = np.arange(down) * rows // down, np.arange(across) * cols // across
        cell[area.index] = (count + row[:, None] * cols + col)[None, :, :, None]
        count += own
    return cell


def _lattices(tokens: int, size: tuple[int, ...]) -> list[tuple[int, int]]:
    """Rows and columns of the lattices of so many cells over an area, that of the squarest cells first.

    >>> _lattices(12, (30, 40))
    [(3, 4), (4, 3), (2, 6), (6, 2), (1, 12), (12, 1)]
    """
    found = [(rows, tokens // rows) for rows in range(1, tokens + 1) if tokens % rows == 0]

    def stretch(lattice: tuple[int, int]) -> float:
        return abs(float(np.log(size[0] / lattice[0] * lattice[1] / size[1])))

    fitting = [one for one in found if one[0] <= size[0] and one[1] <= size[1]]
    return sorted(fitting or found, key=stretch)


class _Passes:
    """Passes of a model with parts of its image inputs changed, and what changes.

    What is compared are places: of a codebook's scores where the image is written in its entries, else the
    prompt's positions.

    Attributes:
        areas: Rectangles of pixels side by side.
        width: How many numbers a token is there.
        numbers: How many numbers the image inputs have.
    """

    def __init__(
        self,
        loan: Loan,
        inputs: Mapping[str, Tensor],
        names: Sequence[str],
        layers: nn.ModuleList,
        still: Still,
        areas: Sequence[Area],
    ) -> None:
        self.areas = areas
        self._loan, self._inputs, self._names = loan, inputs, names
        self._layers, self._still = layers, still
        self._random = np.random.default_rng(0)
        self._given = torch.cat([inputs[name].double().cpu().flatten() for name in names]).numpy()
        self.numbers = len(self._given)
        # Normalised or not: values of the order of those that the model is given.
        self._amplitude = max(1.0, float(np.abs(self._given).max()))
        self._base = self._noise()
        self._stream = self._run(self._base)
        self.width = self._stream.shape[1]
        self._coded = bool(still.scores)
        self._plain = self._places(self._stream)
        self._largest = torch.zeros(len(self._plain))

    def whole_image(self) -> Ints:
        """The places that change with the image."""
        changes = [self._change(np.ones(self.numbers, dtype=bool)) for _ in range(WHOLE)]
        self._largest = torch.stack(changes).amax(dim=0)
        return np.flatnonzero(np.asarray(self._largest > 0))

    def spelled(self, part_of_number: Ints, parts: int, fed: Ints) -> Ints | None:
        """The number of the only part of the image inputs that each place changes with.

        Args:
            part_of_number: The part that each number of the image inputs is in, -1 for none.
            parts: How many there are.
            fed: The places.

        Returns:
            int (place,); None where some place changes with several parts, or spells no number.
        """

        def changed(with_bit: Bools) -> Bools:
            moved = self._change((part_of_number >= 0) & with_bit[part_of_number])
            return np.asarray(moved > CHANGED * self._largest)[fed]

        return _spelled(parts, len(fed), changed)

    def positions_of(self, fed: Ints) -> Ints | None:
        """The position in the prompt that each of some places goes to; None where there is not one each."""
        if not self._coded:
            return fed
        number = np.zeros(len(self._plain), dtype=np.int64)
        number[fed] = np.arange(len(fed))
        inside = np.isin(np.arange(len(self._plain)), fed)

        def changed(with_bit: Bools) -> Bools:
            self._still.other = torch.from_numpy(inside & with_bit[number])
            try:
                states = self._run(self._base)
            finally:
                self._still.other = None
            return np.asarray(((states - self._stream).abs().amax(dim=1) > 0).cpu())

        at = np.flatnonzero(changed(np.ones(len(fed), dtype=bool)))
        place = _spelled(len(fed), len(at), lambda with_bit: changed(with_bit)[at])
        if place is None or len(at) != len(fed) or len(np.unique(place)) != len(fed):
            return None
        return at[np.argsort(place)]

    def _change(self, mask: Bools) -> Tensor:
        """By how much each place changes with new values of some numbers, float (place,)."""
        states = self._places(self._run(np.where(mask, self._noise(), self._base)))
        if states.shape != self._plain.shape:
            raise Unmeasurable("the length of its prompt depends on the image")
        moved: Tensor = (states - self._plain).norm(dim=1)
        return moved.cpu()

    def _places(self, stream: Tensor) -> Tensor:
        """What is compared, float (place, channel)."""
        if not self._coded:
            return stream
        if len({one.shape[1] for one in self._still.scores}) > 1:
            raise Unmeasurable("its images are written in several codebooks")
        return torch.cat(self._still.scores)

    def _noise(self) -> Doubles:
        """Random blots of full colours in every area."""
        values = self._given.copy()
        for area in self.areas:
            _, rows, cols, colours = area.index.shape
            blots = self._random.uniform(-1, 1, size=(-(-rows // GRAIN), -(-cols // GRAIN), colours))
            pixels = blots.repeat(GRAIN, axis=0).repeat(GRAIN, axis=1)[:rows, :cols]
            values[area.index] = self._amplitude * pixels
        return values

    def _run(self, values: Doubles) -> Tensor:
        """What enters the layers, float (position, channel)."""
        left, given = torch.from_numpy(values), {}
        for name in self._names:
            like = self._inputs[name]
            given[name] = left[: like.numel()].reshape(like.shape).to(like)
            left = left[like.numel() :]
        with torch.no_grad():
            return stream_at(self._loan, {**self._inputs, **given}, self._layers, self._still)


def _spelled(parts: int, count: int, changed: Callable[[Bools], Bools]) -> Ints | None:
    """The number of the part that each of some places spells, int (place,); None where one spells none.

    Args:
        parts: How many parts there are.
        count: How many places.
        changed: Which places change with some of the parts, bool (part,) to bool (place,).
    """
    number = np.zeros(count, dtype=np.int64)
    for bit in range(max(0, parts - 1).bit_length()):
        has = np.arange(parts) >> bit & 1 == 1
        one, other = np.zeros((2, count), dtype=bool)
        for _ in range(TRIES):
            one |= changed(has)
            other |= changed(~has)
            if (one ^ other).all():
                break
        else:
            return None
        number += one.astype(np.int64) << bit
    return number if (number < parts).all() else None


def _areas(blocks: Sequence[Block], shapes: Sequence[Shape]) -> list[Area]:
    """Blocks of one size in one input, put side by side; without whole rows and columns of padding."""
    alike: dict[tuple[int, ...], list[Block]] = {}
    for block in blocks:
        alike.setdefault((block.part[0], *block.index.shape), []).append(block)
    return [_shown(area, shapes[area.image]) for own in alike.values() for area in joined(own)]


def _shown(area: Area, shape: Shape) -> Area:
    """The part of an area that shows its source image."""
    parts = []
    for axis in (0, 1):
        start, step = area.to_source[axis, 2], area.to_source[axis, axis]
        first = max(0, math.floor(-start / step + SLACK))
        last = math.ceil((shape[axis] - start) / step - SLACK)
        parts.append(slice(first, last))
    rows, cols = parts
    corner = scale_shift((1.0, 1.0), (float(rows.start), float(cols.start)))
    return Area(area.image, compose(area.to_source, corner), area.index[:, rows, cols])
