"""Windows, lookup tables and ranges, which map stored numbers to black and white, block by block."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from groundviz.errors import ImageError, argument
from groundviz.record.types import Bools, Doubles, Floats

Values = npt.NDArray[Any]
Curve = Callable[[Doubles], Doubles]

# Values that are mapped at once: in float64, so in small blocks to bound the memory.
_BLOCK = 1 << 19
# The part of the values that `central_range` leaves out at either end.
_CUT = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A range of values spread over black to white, as (centre, width) of one of DICOM's functions."""

    centre: float
    width: float
    function: str = "LINEAR_EXACT"

    @classmethod
    def of(cls, pair: tuple[float, float], function: str = "LINEAR_EXACT") -> Window:
        """Check a (centre, width).

        Raises:
            ImageError: It is not two finite numbers, or the width shows nothing.
        """
        try:
            centre, width = (float(value) for value in pair)
        except (TypeError, ValueError, OverflowError):
            centre = width = math.nan
        # DICOM's LINEAR counts values, so that a width of 1 is a step between black and white.
        least, widths = 0.0, "above 0"
        if function == "LINEAR":
            least, widths = 1.0, "above or at 1"
        if not (math.isfinite(centre) and math.isfinite(width)) or width < least or width <= 0:
            raise ImageError(
                "The window cannot be used: it must be two finite numbers (centre, width) with a width "
                f"{widths}. Pass for example {argument('window', (40, 400))}."
            )
        return cls(centre=centre, width=width, function=function)

    def curve(self, *, inverted: bool = False) -> Curve:
        """Values to 0..1, by the formulas of DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3."""
        if self.function == "SIGMOID":
            width = -self.width if inverted else self.width
            return _sigmoid(self.centre, width)
        if self.function == "LINEAR":
            low = self.centre - 0.5 - (self.width - 1.0) / 2.0
            return ramp(low, low + self.width - 1.0, inverted=inverted)
        return ramp(self.centre - self.width / 2.0, self.centre + self.width / 2.0, inverted=inverted)

    @property
    def pair(self) -> tuple[float, float]:
        """(centre, width)."""
        return self.centre, self.width


def ramp(low: float, high: float, *, inverted: bool = False) -> Curve:
    """A straight line from black at `low` to white at `high`, or the other way round.

    Inverting turns the line itself, not its result, so that an image and its negative stored
    inverted give the same bits.

    >>> ramp(0.0, 4.0)(np.array([-1.0, 1.0, 9.0])).tolist()
    [0.0, 0.25, 1.0]
    """
    span = high - low
    if not math.isfinite(span):
        raise ImageError(
            f"The values run too far apart to be shown, from {low:g} to {high:g}. "
            f"Pass {argument('window', ('centre', 'width'))}, or scale them down."
        )

    def curve(values: Doubles) -> Doubles:
        if span == 0.0:
            # A step: there is nothing to divide by.
            white = values < low if inverted else values > low
            return np.asarray(white, dtype=np.float64)
        rise = high - values if inverted else values - low
        return np.clip(rise / span, 0.0, 1.0)

    return curve


def _sigmoid(centre: float, width: float) -> Curve:
    def curve(values: Doubles) -> Doubles:
        # Beyond +-40 the result is 0 or 1 to the last bit of a float32, and exp stays finite.
        exponent = np.clip(-4.0 * (values - centre) / width, -40.0, 40.0)
        return np.asarray(1.0 / (1.0 + np.exp(exponent)))

    return curve


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """A lookup table: inputs below `first` get the first entry, those beyond the end the last one.

    Attributes:
        first: Input that the first entry belongs to.
        values: One output per input value, ascending inputs.
        top: The output shown white.
    """

    first: int
    values: Values
    top: float

    def look_up(self, inputs: Values) -> Values:
        """The entry of every input, same shape."""
        last = self.first + len(self.values) - 1
        index = np.clip(inputs, self.first, last) - self.first
        return np.asarray(self.values[index.astype(np.intp)])

    def curve(self, *, inverted: bool = False) -> Curve:
        """Inputs to 0..1."""
        line = ramp(0.0, self.top, inverted=inverted)
        return lambda values: line(self.look_up(np.rint(values)).astype(np.float64))


def apply(curve: Curve, values: Values) -> Floats:
    """`curve` of every value, float32 in the same shape, computed in float64 block by block."""
    shown = np.empty(values.shape, dtype=np.float32)
    step = max(1, _BLOCK // max(1, values[0].size))
    for start in range(0, len(values), step):
        rows = slice(start, start + step)
        shown[rows] = curve(values[rows].astype(np.float64))
    # Adding zero turns a negative zero into a positive one: equal images must have equal bits.
    shown += np.float32(0.0)
    return shown


def extent(values: Values) -> tuple[float, float]:
    """Smallest and largest value.

    Raises:
        ImageError: Some value is NaN or infinite.
    """
    low, high = float(values.min()), float(values.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        broken = int(values.size - np.isfinite(values).sum())
        raise ImageError(
            f"The image holds {broken} values of {values.size} that are NaN or infinite. "
            "Replace them by numbers first."
        )
    return low, high


def central_range(values: Values, kept: Bools | None) -> tuple[float, float]:
    """The range that all but the darkest and brightest 0.5 % of the values lie in.

    Falls back to the smallest and largest value where that leaves no range.

    Args:
        values: Any shape.
        kept: Which values count; None for all. Where none counts, all do.
    """
    chosen = values.reshape(-1)
    if kept is not None and kept.any():
        chosen = values[kept].reshape(-1)
    lowest = int(_CUT * (chosen.size - 1))
    highest = chosen.size - 1 - lowest
    ordered = np.partition(chosen, (lowest, highest))
    low, high = float(ordered[lowest]), float(ordered[highest])
    if high > low:
        return low, high
    return float(chosen.min()), float(chosen.max())
