"""Places in the source images, put on regular lattices of rows and columns: one for each view of an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from groundviz.models.measured.unmeasurable import Unmeasurable
from groundviz.record.geometry import scale_shift
from groundviz.record.types import Doubles, Ints

# Cells of one view differ in size by less.
ALIKE = 1.2
# How far, in cells, a row or column of places may lie off its lattice; and a single place, which is noisier.
MOST_OFF, MOST_OFF_SINGLE = 0.1, 0.35
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
    def cells(self) -> Ints:
        """The cell of each member, row by row."""
        return self.row * self.size[1] + self.col


def views(at: Doubles, size: Doubles, image: Ints) -> list[View]:
    """Divide places into as few views as have a lattice each, in the order of their first members.

    Args:
        at: The source row and column of each place, (place, 2).
        size: How many source rows and columns each covers, (place, 2).
        image: The source image of each, (place,).

    Raises:
        Unmeasurable: Some places lie on no lattice.
    """
    found: list[View] = []
    ends = np.flatnonzero(np.diff(image)) + 1
    for part in np.split(np.arange(len(image)), ends):
        whole = _cut_short(at[part], size[part], int(image[part[0]]), part)
        if whole is not None:
            found.append(whole)
            continue
        for alike in _alike(size[part]):
            own = part[alike]
            found += _views(at[own], size[own], int(image[own[0]]), own)
    return found


def _cut_short(at: Doubles, size: Doubles, image: int, members: Ints) -> View | None:
    """The lattice of places of which those at the right and at the bottom may be cut short by padding."""
    pitch = np.quantile(size, FULL, axis=0)
    view = _lattice(at - size / 2 + pitch / 2, pitch, image, members)
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


def _lattice(at: Doubles, pitch: Doubles, image: int, members: Ints) -> View | None:
    """The lattice that all places lie on, no two in one cell; None where there is none."""
    numbers, steps, starts = [], [], []
    for axis in (0, 1):
        line = _along(at[:, axis], float(pitch[axis]))
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


def _along(values: Doubles, pitch: float) -> tuple[Ints, float, float] | None:
    """The number of each place along an axis, the step from one to the next, and where the first begins."""
    order = np.argsort(values, kind="stable")
    gaps = np.diff(values[order])
    # Places of one row differ by rounding alone.
    jumps = np.where(gaps > pitch / 2, np.maximum(1, np.rint(gaps / pitch)), 0)
    number = np.zeros(len(values), dtype=np.int64)
    number[order[1:]] = np.cumsum(jumps)
    if number.max() == 0:
        return number, pitch, float(values.mean()) - pitch / 2
    step, centre = np.polyfit(number, values, 1)
    off = values - (step * number + centre)
    count = np.bincount(number)
    of_lines = np.bincount(number, off)[count > 0] / count[count > 0]
    if np.abs(of_lines).max() > MOST_OFF * pitch or np.abs(off).max() > MOST_OFF_SINGLE * pitch:
        return None
    return number, float(step), float(centre - step / 2)
