"""Places in the source images, put on regular lattices of rows and columns: one for each view of an image."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from groundviz.models.adapter.unmeasurable import Unmeasurable
from groundviz.record.geometry import scale_shift
from groundviz.record.types import Doubles, Ints

# Cells of one view differ in size by less.
ALIKE = 1.2
# How far, in cells, a row or column of places may lie off its lattice; and a single place, which is noisier.
MOST_OFF, MOST_OFF_SINGLE = 0.1, 0.35
# The same where tiles have a rim that no place covers; a gap that exceeds a step by less is such a rim.
MOST_OFF_RIM, MOST_OFF_RIM_SINGLE, MOST_RIM = 0.3, 0.5, 0.75
# How many rows or columns were read between others, and at how many even places.
Resampled = tuple[int, int]
# The number of each place along an axis, the step from one to the next, and where the first begins.
Line = tuple[Ints, float, float]
# Makes a line of source rows or columns, and of how many of these a place covers; None where places are not
# regular.
Along = Callable[[Doubles, float], "Line | None"]
# Of places that may be cut short, this quantile in size is whole.
FULL = 0.75


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Some of the places, on one lattice over one image.

    Attributes:
        image: The source image.
        members: int (member,), which places they are.
        row: int (member,), the row of each; the first is 0.
        col: int (member,), its column.
        to_source: Affine from cells to source pixels.
    """

    image: int
    members: Ints
    row: Ints
    col: Ints
    to_source: Doubles

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return int(self.row.max()) + 1, int(self.col.max()) + 1

    @property
    def has_gaps(self) -> bool:
        """Whether it has rows or columns without any place."""
        return (len(np.unique(self.row)), len(np.unique(self.col))) != self.size

    @property
    def box(self) -> Doubles:
        """Where it lies in the source image: (top, left, bottom, right)."""
        start = self.to_source[:, 2]
        return np.concatenate([start, start + np.diag(self.to_source[:, :2]) * self.size])

    @property
    def cells(self) -> Ints:
        """The cell of each member, row by row."""
        return self.row * self.size[1] + self.col


def views(
    at: Doubles,
    size: Doubles,
    image: Ints,
    part: Ints | None = None,
    *,
    resampled: Collection[Resampled] = (),
) -> list[View]:
    """Divide places into as few views as have a lattice each, in the order of their first members.

    Args:
        at: The source row and column of each place, (place, 2).
        size: How many source rows and columns each covers, (place, 2).
        image: The source image of each, (place,).
        part: The part of its image that each lies in, (place,): no view holds places of two.
        resampled: Where places may have been read between others, and lie at the nearest of these.

    Raises:
        Unmeasurable: Some places lie on no lattice.
    """
    found: list[View] = []
    parts = np.zeros_like(image) if part is None else part
    for own in _runs(image, parts):
        number = int(image[own[0]])
        whole = _cut_short(at[own], size[own], number, own, resampled)
        if whole is not None:
            found.append(whole)
            continue
        for alike in _alike(size[own]):
            members = own[alike]
            found += _views(at[members], size[members], number, members)
    return sorted(found, key=lambda view: int(view.members.min()))


def _runs(image: Ints, part: Ints) -> Iterator[Ints]:
    """Places of one image that follow one another, those of each part together."""
    for run in np.split(np.arange(len(image)), np.flatnonzero(np.diff(image)) + 1):
        for number in np.unique(part[run]):
            yield run[part[run] == number]


def _cut_short(
    at: Doubles, size: Doubles, image: int, members: Ints, resampled: Collection[Resampled]
) -> View | None:
    """The lattice of places of which those at the right and at the bottom may be cut short by padding."""
    pitch = np.quantile(size, FULL, axis=0)
    starts = at - size / 2 + pitch / 2
    view = _lattice(starts, pitch, image, members)
    if resampled and (view is None or view.has_gaps):
        view = _lattice(starts, pitch, image, members, _read_between(resampled)) or view
    if view is None:
        return None
    short = (size < pitch / ALIKE).any(axis=1)
    rows, cols = view.size
    if (short & (view.row < rows - 1) & (view.col < cols - 1)).any():
        return None
    return view


def _alike(size: Doubles) -> list[Ints]:
    """Runs of places of one size that follow one another."""
    ratio = np.abs(np.log(size[1:] / size[:-1])).max(axis=1)
    return np.split(np.arange(len(size)), np.flatnonzero(ratio > np.log(ALIKE)) + 1)


def _views(at: Doubles, size: Doubles, image: int, members: Ints) -> list[View]:
    """As `views`, of places on one image and of one size."""
    pitch = np.median(size, axis=0)
    view = _lattice(at, pitch, image, members)
    if view is not None:
        return [view]
    for least in (1.5, 0.5):
        # A view begins where the order of places returns to an earlier row.
        starts = np.flatnonzero(np.diff(at[:, 0]) < -least * pitch[0]) + 1
        pieces = np.split(np.arange(len(at)), starts)
        single = [_lattice(at[piece], pitch, image, members[piece]) for piece in pieces]
        if len(pieces) > 1 and None not in single:
            return [one for one in single if one is not None]
    view = _lattice(at, pitch, image, members, _with_rims)
    if view is not None:
        return [view]
    again = _first_return(at, pitch)
    first = _lattice(at[:again], pitch, image, members[:again])
    if first is None or again == len(at):
        raise Unmeasurable("its image tokens lie on no regular rows and columns")
    return [first, *_views(at[again:], size[again:], image, members[again:])]


def _first_return(at: Doubles, pitch: Doubles) -> int:
    """The number of the first place that lies where another one did."""
    cells = np.rint((at - at[0]) / pitch * 2)
    _, first = np.unique(cells, axis=0, return_index=True)
    repeated = np.setdiff1d(np.arange(len(at)), first)
    return int(repeated[0]) if len(repeated) else len(at)


def _lattice(
    at: Doubles, pitch: Doubles, image: int, members: Ints, along: Along | None = None
) -> View | None:
    """The lattice that all places lie on, no two in one cell; None where there is none."""
    numbers, steps, starts = [], [], []
    for axis in (0, 1):
        line = (along or _regular)(at[:, axis], float(pitch[axis]))
        if line is None:
            return None
        number, step, start = line
        numbers.append(number)
        steps.append(step)
        starts.append(start)
    row, col = numbers
    if len(np.unique(row * (col.max() + 1) + col)) < len(row):
        return None
    return View(image, members, row, col, scale_shift(_pair(steps), _pair(starts)))


def _pair(values: Sequence[float]) -> tuple[float, float]:
    return values[0], values[1]


def _regular(values: Doubles, pitch: float) -> Line | None:
    """Places that are a step apart, or several."""
    number = _counted(values, pitch, np.rint)
    return _fitted(values, number, pitch)


def _with_rims(values: Doubles, pitch: float) -> Line | None:
    """Places that are a step apart, or several; some gaps are longer than that."""
    number = _counted(values, pitch, lambda gaps: np.floor(gaps + 1 - MOST_RIM))
    return _fitted(values, number, pitch, rims=True)


def _read_between(resampled: Collection[Resampled]) -> Along:
    """Places at even distances, each at the nearest of the rows or columns that it was read between."""

    def along(values: Doubles, pitch: float) -> Line | None:
        number = _counted(values, pitch, np.ones_like)
        places = int(number.max()) + 1
        for before, after in sorted(resampled):
            if after != places:
                continue
            ratio = before / after
            nearest = np.floor((np.arange(places) + 0.5) * ratio).astype(np.int64)
            found = _fitted(values, nearest[number], pitch, rims=True)
            if found is not None:
                return number, found[1] * ratio, found[2]
        return None

    return along


def _counted(values: Doubles, pitch: float, steps: Callable[[Doubles], Doubles]) -> Ints:
    """The number of each place along an axis, given how many steps a gap is, of so many pitches."""
    order = np.argsort(values, kind="stable")
    gaps = np.diff(values[order])
    # Places of one row differ by rounding alone.
    jumps = np.where(gaps > pitch / 2, np.maximum(1, steps(gaps / pitch)), 0)
    number = np.zeros(len(values), dtype=np.int64)
    number[order[1:]] = np.cumsum(jumps)
    return number


def _fitted(values: Doubles, number: Ints, pitch: float, *, rims: bool = False) -> Line | None:
    """The straight line through places of known numbers; None where some are too far off, in steps."""
    if number.max() == 0:
        return number, pitch, float(values.mean()) - pitch / 2
    if rims:
        most_off, most_off_single = MOST_OFF_RIM, MOST_OFF_RIM_SINGLE
        step, centre = _least_off(number, values)
    else:
        most_off, most_off_single = MOST_OFF, MOST_OFF_SINGLE
        step, centre = np.polyfit(number, values, 1)
    off = values - (step * number + centre)
    count = np.bincount(number)
    of_lines = np.bincount(number, off)[count > 0] / count[count > 0]
    if np.abs(of_lines).max() > most_off * step or np.abs(off).max() > most_off_single * step:
        return None
    return number, float(step), float(centre - step / 2)


def _least_off(number: Ints, values: Doubles) -> tuple[float, float]:
    """The step and the first centre of the line whose largest distance from a row or column is the least.

    The ends of tiles with rims pull that of least squares off their step.
    """
    known, which = np.unique(number, return_inverse=True)
    lines = np.bincount(which, values) / np.bincount(which)
    low, high = (share * float(np.polyfit(known, lines, 1)[0]) for share in (0.5, 1.5))
    # The distance has one minimum.
    for _ in range(64):
        one, other = low + (high - low) / 3, high - (high - low) / 3
        if np.ptp(lines - one * known) < np.ptp(lines - other * known):
            high = other
        else:
            low = one
    step = (low + high) / 2
    off = lines - step * known
    return step, float(off.max() + off.min()) / 2
