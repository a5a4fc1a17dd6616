"""Numbers to colours: the one place where a map is normalised, and it says how.

Maps whose values only count something run through inferno, whose lightness rises steadily; signed
maps run through managua, centred on zero, light at both ends. Both are perceptually uniform, stay
readable with any common colour blindness, and sit calmly on a dark radiograph.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import matplotlib as mpl
import numpy as np

from groundviz.record.types import Floats, Heatmap

Rule = Literal["clip", "shared", "each"]
Over = Literal["map", "all", "each"]

# The colour maps of matplotlib that a reader can choose from, and whether each is for signed values. The
# first of each kind is the default. A further one needs one line here; tests/render/base/test_colour.py
# judges it.
COLOURS = {
    "inferno": False,
    "magma": False,
    "viridis": False,
    "cividis": False,
    "managua_r": True,
    "RdBu_r": True,
}

_PERCENTILE = 99.0
_OVER: dict[Over, str] = {
    "map": "",
    "all": ", one scale for these maps",
    "each": ", each map its own scale",
}
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How the values of a map become positions on a colour bar.

    Attributes:
        low: Value at the bar's start, in `unit`; minus `high` on a signed scale.
        high: Value at the bar's end.
        clipped: Whether some values lie beyond the ends and are shown as the ends.
        over: What the ends were taken from: this one map, all maps shown beside it, or each its own.
        signed: Whether zero sits in the middle of the bar.
        unit: What a value counts.
    """

    low: float
    high: float
    clipped: bool
    over: Over
    signed: bool
    unit: str

    def position(self, values: Floats) -> Floats:
        """Where values fall on the bar, 0 to 1; NaN stays NaN."""
        position = (values - self.low) / (self.high - self.low)
        return np.asarray(np.clip(position, 0.0, 1.0), dtype=np.float32)

    def strength(self, values: Floats) -> Floats:
        """How far values are from nothing, 0 to 1: from the low end, or from zero when signed."""
        position = self.position(values)
        if self.signed:
            return np.asarray(np.abs(2.0 * position - 1.0), dtype=np.float32)
        return position

    @property
    def ends(self) -> tuple[str, str]:
        """The two numbers that belong beside the bar, marked where values lie beyond them."""
        largest = max(abs(self.low), abs(self.high))
        # Ends that are close together need more digits to differ.
        digits = 2 + max(1, math.ceil(-math.log10((self.high - self.low) / largest)))
        low, high = _printed(self.low, digits), _printed(self.high, digits)
        if not self.clipped:
            return low, high
        # Only the magnitude of signed values is clipped, at both ends.
        if self.signed:
            low = f"≤ {low}"
        return low, f"≥ {high}"

    @property
    def rule(self) -> str:
        """How the ends were chosen, in words."""
        top = f"{_PERCENTILE:.0f}th percentile" if self.clipped else "highest value"
        span = f"± {top} of the magnitude" if self.signed else f"lowest value to {top}"
        return span + _OVER[self.over]


def scales(maps: Sequence[Heatmap], rule: Rule = "clip") -> tuple[Scale | None, ...]:
    """A scale for each of several maps of one method; None for a map without evidence.

    Args:
        maps: Maps to be shown beside each other.
        rule: "clip" for one scale that ends at the 99th percentile, so that a few sinks do not
            darken the rest; "shared" for one scale from lowest to highest; "each" for every
            map its own lowest to highest.
    """
    telling = [one for one in maps if one.has_evidence]
    over: Over = "all"
    if len(maps) == 1:
        over = "map"
    elif rule == "each":
        over = "each"
    # Maps without evidence have no scale, and do not change that of the others.
    common = None
    if telling and over != "each":
        common = _scale(telling, rule, over)
    found: list[Scale | None] = []
    for one in maps:
        if not one.has_evidence:
            found.append(None)
        else:
            found.append(common or _scale([one], rule, over))
    return tuple(found)


def paint(position: Floats, *, signed: bool) -> Floats:
    """Colours, float32 (..., 3) in [0, 1], of positions 0 to 1 on the bar; NaN has none and comes back black.

    >>> paint(np.array([0.0, 1.0], np.float32), signed=False).round(2).tolist()
    [[0.0, 0.0, 0.009999999776482582], [0.9900000095367432, 1.0, 0.6399999856948853]]
    """
    colours = mpl.colormaps["managua_r" if signed else "inferno"](np.nan_to_num(position))
    return np.where(np.isnan(position)[..., None], 0.0, colours[..., :3]).astype(np.float32)


def table(name: str) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """The 256 colours, uint8 (256, 3), of one of `COLOURS`.

    >>> table("inferno")[[0, 255]].tolist()
    [[0, 0, 4], [252, 255, 164]]
    """
    return np.rint(255.0 * mpl.colormaps[name](np.arange(256))[:, :3]).astype(np.uint8)


def _printed(value: float, digits: int) -> str:
    """A number as a journal prints it, with a true minus sign and powers of ten."""
    mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
    printed = mantissa.replace("-", "\N{MINUS SIGN}")
    if exponent:
        printed += f" \N{MULTIPLICATION SIGN} 10{str(int(exponent)).translate(_RAISED)}"
    return printed


def _scale(maps: Sequence[Heatmap], rule: Rule, over: Over) -> Scale:
    seen = np.concatenate([one.values[np.isfinite(one.values)] for one in maps]).astype(np.float64)
    signed = maps[0].signed
    reach = np.abs(seen) if signed else seen
    low, high = float(reach.min()), float(reach.max())
    # A few sinks would darken the rest.
    clipped = False
    if rule == "clip":
        limit = float(np.percentile(reach, _PERCENTILE))
        clipped = low < limit < high
        if clipped:
            high = limit
    # Zero is in the middle, so that its colour means nothing.
    if signed:
        low = -high
    return Scale(
        low=low,
        high=high,
        clipped=clipped,
        over=over,
        signed=signed,
        unit=maps[0].unit,
    )
