"""What a metric of maps sees: cells in view, their values, and how much of each the reference covers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from groundviz.errors import OptionError
from groundviz.record.types import Doubles

# Why a map, or a reference, is scored by expectation or not at all.
CONSTANT = "constant map"
NO_VALUES = "map without values"
NOT_FINITE = "map not finite"
EMPTY = "empty reference"
UNSEEN = "reference outside the view"

# Values that differ by less than this many last digits of the largest are alike.
_LAST_DIGITS = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """A map and a reference in one evaluation space; cells may be tokens of a grid or pixels.

    A map that points nowhere (all of its values alike, no value at all, or an infinite one) is kept as a map
    of zeros, so that each metric gives what a draw among all cells would, and `flag` names it.

    Attributes:
        values: (cell,) of the map.
        inside: (cell,) the area of each cell that the reference covers; for a density, what lies on the cell.
        area: (cell,) the area of each cell that shows the image, from above 0 to 1.
        centres: (cell,) 1 where the centre of a cell lies in the reference, 0 elsewhere; None where unknown.
        flag: Why the map is scored by expectation; empty where it points somewhere.
        outside: The share of the reference that no cell shows; NaN where unknown.
        ceiling: The highest IoU that a selection of whole token cells could have; NaN where unknown.

    >>> cells = Cells.of([[0.2, np.nan], [0.7, 0.1]], [[0, 0], [1, 0.5]])
    >>> cells.share, cells.groups.values.tolist(), cells.groups.inside.tolist()
    (0.5, [0.7, 0.2, 0.1], [1.0, 1.0, 1.5])
    >>> Cells.of([0.3, 0.3], [1, 0]).flag
    'constant map'
    """

    values: Doubles
    inside: Doubles
    area: Doubles
    centres: Doubles | None
    flag: str = ""
    outside: float = float("nan")
    ceiling: float = float("nan")

    @classmethod
    def of(
        cls,
        values: npt.ArrayLike,
        coverage: npt.ArrayLike,
        valid: npt.ArrayLike | None = None,
        *,
        centres: npt.ArrayLike | None = None,
        density: bool = False,
    ) -> Cells:
        """Cells of a map and a coverage of one shape.

        Args:
            values: Of any shape, signed or not. NaN is outside the model's view, and counts nowhere.
            coverage: How much of each cell the reference covers, from 0 to 1; a bool mask does, too.
            valid: Which cells count, bool; or how much of each shows the image, from 0 to 1. All when None.
            centres: Whether the centre of each cell lies in the reference; read off a coverage of zeros and
                ones when None.
            density: Whether the coverage is a density of any scale, such as a gaze map, in place of areas.

        Raises:
            OptionError: The shapes differ, or a coverage lies outside 0 to 1, or is larger than its cell
                shows.
        """
        raw = np.asarray(values)
        covered = np.asarray(coverage, dtype=np.float64)
        area = np.ones(raw.shape)
        if valid is not None:
            area = np.asarray(valid, dtype=np.float64)
        _check(raw, covered, area, density=density)
        if not density:
            covered = np.minimum(covered, area)
        if centres is None and _is_binary(covered) and not density:
            centres = covered
        counts = area > 0
        seen = counts & ~np.isnan(raw)
        flag = ""
        if not seen.any():
            # Nothing is known of the map, and all of the image may be asked about.
            seen, flag = counts, NO_VALUES
        at_centres = None
        if centres is not None:
            at_centres = np.asarray(centres, dtype=np.float64)[seen]
        kept, flag = _pointing_or_zeros(raw[seen], flag)
        return cls(values=kept, inside=covered[seen], area=area[seen], centres=at_centres, flag=flag)

    def broken(self, flag: str) -> Cells:
        """The same cells under a map that is scored by expectation, for another reason."""
        return replace(self, values=np.zeros_like(self.values), flag=flag)

    @property
    def reference(self) -> float:
        """The area that the reference covers, in cells."""
        return float(self.inside.sum())

    @property
    def share(self) -> float:
        """The share of the area in view that the reference covers: what a draw among all points hits."""
        return self.reference / float(self.area.sum())

    @cached_property
    def groups(self) -> Groups:
        """The cells from the highest value down, those of one value together."""
        order = np.argsort(-self.values, kind="stable")
        falling = self.values[order]
        last = np.append(np.flatnonzero(np.diff(falling)), falling.size - 1)
        return Groups(
            values=falling[last],
            counts=np.diff(last, prepend=-1),
            area=np.cumsum(self.area[order])[last],
            inside=np.cumsum(self.inside[order])[last],
            order=order,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Groups:
    """Cells of equal value, from the highest value down.

    Attributes:
        values: (group,) falling.
        counts: (group,) how many cells each holds.
        area: (group,) the area of all cells down to this group.
        inside: (group,) how much of that the reference covers.
        order: (cell,) the cells, from the highest value down.
    """

    values: Doubles
    counts: npt.NDArray[np.int64]
    area: Doubles
    inside: Doubles
    order: npt.NDArray[np.int64]


def _pointing_or_zeros(values: npt.NDArray[Any], flag: str) -> tuple[Doubles, str]:
    """The values, and no flag; or zeros, and why."""
    if not flag and not np.isfinite(values).all():
        flag = NOT_FINITE
    if not flag and _alike(values):
        flag = CONSTANT
    if flag:
        return np.zeros(values.shape), flag
    return values.astype(np.float64), ""


def _alike(values: npt.NDArray[Any]) -> bool:
    """Whether all values are one, up to rounding of their own precision."""
    digits = 0.0
    if np.issubdtype(values.dtype, np.floating):
        digits = _LAST_DIGITS * float(np.finfo(values.dtype).eps)
    wide = values.astype(np.float64)
    return bool(np.ptp(wide) <= digits * np.abs(wide).max())


def _is_binary(covered: Doubles) -> bool:
    return bool(np.isin(covered, (0.0, 1.0)).all())


def _check(values: npt.NDArray[Any], covered: Doubles, area: Doubles, *, density: bool) -> None:
    if not values.shape == covered.shape == area.shape:
        raise OptionError(
            f"A map, its coverage and its valid cells must have one shape: they have {values.shape}, "
            f"{covered.shape} and {area.shape}. Place the reference on the map's grid first, "
            "as groundviz.metrics.place does."
        )
    if not (np.isfinite(area).all() and area.min(initial=0.0) >= 0 and area.max(initial=0.0) <= 1):
        raise OptionError("Valid cells must be True or False, or shares from 0 to 1. Found others.")
    counted = covered[area > 0]
    if not np.isfinite(counted).all() or counted.min(initial=0.0) < 0:
        raise OptionError("A coverage must be finite and not below 0. Found others: check the reference.")
    # A share of an area is computed, perhaps in single precision, and may be a last digit above it.
    if not density and (covered > area + 1e-6).any():
        raise OptionError(
            "A reference covers more of a cell than the cell shows of the image: coverages must lie from 0 "
            "to 1. Give a bool mask, or shares of areas."
        )
