"""Numbers to colours: the one place where a map is normalised, and it says how.

A scale runs from zero to the largest value that is there: nothing is clipped. The colours were chosen by
measurement, over black, grey, bone-white and coloured tissue, for common and for red-green-blind eyes: the
stronger a cell, the further its colour lies from the tissue under it (tests/render/base/test_contrast.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

from groundviz.errors import UnknownName
from groundviz.record.mass import magnitudes
from groundviz.record.types import Floats, Heatmap
from groundviz.render.base.escape import visible
from groundviz.render.base.parts import layer_name

Rule = Literal["root", "linear", "log", "each"]
Over = Literal["map", "all", "each"]
# By a map's identity: what to call the part of a figure that it is in, and the image that it lies on.
_Names = tuple[Mapping[int, str], Mapping[int, str]]

# What covers the image at the end of the scale; towards zero the image shows through.
OPACITY = 0.85
# The ground on which a colour bar shows what the colours look like.
GROUND = 0.5

# Ends of straight lines through red, green and blue. From rose to yellow every step moves away from any
# tissue; teal to blue does so for what speaks against.
_FOR = ((0.85, 0.0, 0.33), (1.0, 1.0, 0.0))
_AGAINST = ((0.3, 0.74, 0.7), (0.0, 0.43, 1.0))

# The colour maps that a reader can choose from, and whether each is for signed values. The first of each
# kind is the default and ours; the others are matplotlib's. A further one needs one line here;
# tests/render/base/test_contrast.py says how it fares over tissue.
COLOURS = {
    "ember": False,
    "inferno": False,
    "viridis": False,
    "cividis": False,
    "ember_ice": True,
    "managua_r": True,
    "RdBu_r": True,
}
DEFAULTS = {False: "ember", True: "ember_ice"}

# A map that stays below these is not stretched over the whole scale. A hundredth of a nat changes a
# probability by one per cent of itself.
_LEAST_NATS = 0.01
_NATS, _SHARES = "nats", "share of attention"
# The logarithmic scale ends at a thousandth of its top.
_DECADES = 3
_CURVES = {
    "root": "square root of the value",
    "linear": "the value",
    "log": f"logarithm of the value over {_DECADES} decades",
}
_OVER = {"map": "", "all": ", one scale for all maps of this unit", "each": ", each map its own scale"}
_LONGEST_NAME = 60
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How the values of a map become positions on a colour bar.

    Attributes:
        top: Value at the bar's end, above zero; the bar starts at zero, or at minus `top` when signed.
        highest: The largest magnitude of the maps; below `top` only where it is `negligible`.
        peak: Which map holds it, and where, in words.
        curve: "root", "linear" or "log": what of a value its colour follows.
        over: What the scale was taken from: this one map, all maps shown beside it, or each its own.
        signed: Whether zero sits in the middle of the bar.
        unit: What a value counts.
        colours: One of `COLOURS`.
        opacity: How much of the image is covered at the bar's end.
        negative: Whether the value of the largest magnitude is below zero.
    """

    top: float
    highest: float
    peak: str
    curve: Literal["root", "linear", "log"]
    over: Over
    signed: bool
    unit: str
    colours: str
    opacity: float = OPACITY
    negative: bool = False

    def veil(self, values: Floats) -> Floats:
        """What the values put over an image: colours and opacity, float32 (..., 4); nothing where NaN."""
        colours = paint(self.position(values), self.colours)
        opacity = self.opacity * np.nan_to_num(self.strength(values))
        return np.concatenate([colours, opacity[..., None]], axis=-1, dtype=np.float32)

    def strength(self, values: Floats) -> Floats:
        """How far values are from nothing, 0 to 1; NaN stays NaN."""
        size = np.abs(values) if self.signed else np.maximum(values, 0.0)
        share = np.minimum(size / self.top, 1.0)
        if self.curve == "root":
            share = np.sqrt(share)
        elif self.curve == "log":
            share = np.maximum(1.0 + np.log10(np.maximum(share, 10.0 ** (-_DECADES - 1))) / _DECADES, 0.0)
        return np.asarray(share, dtype=np.float32)

    def position(self, values: Floats) -> Floats:
        """Where values fall on the bar, 0 to 1; NaN stays NaN."""
        strength = self.strength(values)
        if not self.signed:
            return strength
        return np.asarray(0.5 + 0.5 * np.sign(values) * strength, dtype=np.float32)

    def largest(self, values: Floats) -> float:
        """The largest magnitude among values that have a colour; what is not finite has none."""
        size = np.abs(values) if self.signed else np.maximum(values, 0.0)
        return float(np.max(size, where=np.isfinite(values), initial=0.0))

    @property
    def negligible(self) -> bool:
        """Whether the maps do not reach what the scale at least spans."""
        return self.highest < self.top

    @property
    def under(self) -> str:
        """What all of the maps stay under, where they are `negligible`; see `under`."""
        return under(self.unit, self.top)

    @property
    def ends(self) -> tuple[str, str]:
        """The two numbers that belong at the ends of the bar."""
        if self.signed:
            return printed(-self.top), printed(self.top)
        return "0", printed(self.top)

    @property
    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Positions on the bar and their values: the ends first, then what lies between."""
        if self.curve == "log":
            shares = [10.0**-decade for decade in range(1, _DECADES)]
        else:
            shares = [0.25, 0.5]
        values = [0.0, self.top, *(self.top * share for share in shares)]
        if self.signed:
            values = [-self.top, self.top, 0.0, -self.top / 4, self.top / 4]
        positions = self.position(np.array(values, np.float32)).tolist()
        return tuple((position, printed(value)) for position, value in zip(positions, values, strict=True))

    @property
    def rule(self) -> str:
        """How values become colours, in words."""
        over = _OVER[self.over]
        span = "± the highest" if self.signed else "0 to the highest"
        if self.negligible:
            span = f"up to {printed(self.top)}, for the highest is under that"
        return f"{_CURVES[self.curve]}, {span}{over}"

    @property
    def summit(self) -> str:
        """The highest value, or the strongest where that is below zero, and its place, in words."""
        if self.negative:
            return f"strongest {printed(-self.highest)}{self.peak}"
        return f"highest {printed(self.highest)}{self.peak}"


def scales(
    maps: Sequence[Heatmap],
    rule: Rule = "root",
    *,
    colours: str | None = None,
    opacity: float = OPACITY,
    whose: Sequence[str] = (),
    on: Sequence[str] = (),
) -> tuple[Scale | None, ...]:
    """A scale for each of several maps, one for all of a unit; None for a map without evidence.

    Args:
        maps: Maps to be shown beside each other, of whatever methods, words, images and tiles.
        rule: "root", "linear" or "log" for one scale from zero to the largest value of all maps of a unit,
            along which colours follow the square root, the value itself, or its logarithm; "each" for
            every map its own, along the square root.
        colours: One of `COLOURS`, for the maps whose kind it fits; None for ours.
        opacity: How much of the image is covered at the end of a scale, 0 to 1.
        whose: What to call the part of the figure that each map is in, where there are several.
        on: What to call the image that each map lies on, where there are several; its number where not given.
    """
    parts = dict(zip(map(id, maps), whose, strict=False))
    images = dict(zip(map(id, maps), on, strict=False))
    # Maps without evidence have no scale, and do not change that of the others.
    groups: dict[object, list[Heatmap]] = {}
    for number, one in enumerate(maps):
        if one.has_evidence:
            alike = number if rule == "each" else (one.unit, one.signed)
            groups.setdefault(alike, []).append(one)
    found: dict[int, Scale] = {}
    for group in groups.values():
        over: Over = "all" if len(group) > 1 else "map"
        if rule == "each" and len(maps) > 1:
            over = "each"
        scale = replace(_scale(group, rule, over, (parts, images)), opacity=opacity)
        if colours is not None and COLOURS[colours] == scale.signed:
            scale = replace(scale, colours=colours)
        found |= {id(one): scale for one in group}
    return tuple(found.get(id(one)) for one in maps)


def ruled(known: Sequence[Scale]) -> str:
    """The rule of scales that stand side by side, in words that hold for each of them."""
    # Maps under the least have another rule; where each has its own scale, both kinds may be there.
    plain = next((scale for scale in known if not scale.negligible), known[0])
    few = next((scale for scale in known if scale.negligible), plain)
    if plain.negligible == few.negligible:
        return plain.rule
    return f"{plain.rule}, or up to {printed(few.top)} where a map is under that"


def least(unit: str, cells: int) -> float:
    """What a scale spans at least: a map below it is not stretched to look like any other.

    Args:
        unit: What a value counts.
        cells: How many cells it has on all images and tiles.

    >>> least("nats", 196), least("share of attention", 200), least("relevancy", 196)
    (0.01, 0.005, 0.0)
    """
    if unit.startswith(_NATS):
        return _LEAST_NATS
    # Each cell's share if all of the attention were spread evenly over them.
    if unit.startswith(_SHARES):
        return 1.0 / cells
    return 0.0


def under(unit: str, least: float) -> str:
    """What a map stays under that is not stretched: a fact in a few words, which judges no map.

    >>> under("nats per token", 0.01), under("share of attention", 0.005)
    ('under 0.01 nats', 'under 0.005')
    """
    return f"under {printed(least)}{' nats' if unit.startswith(_NATS) else ''}"


def too_small(unit: str, least: float) -> str:
    """The same with what it means for a reader, where a map is `under` what its scale spans at least."""
    # The place that a small map marks can pass its test: small is no verdict.
    why = ", as gradients of a confident answer are; its place may matter all the same"
    return f"{under(unit, least)}: too small for full colour{why if unit.startswith(_NATS) else ''}"


def paint(position: Floats, colours: str) -> Floats:
    """Colours, float32 (..., 3) in [0, 1], of positions 0 to 1 on the bar; NaN has none and comes back black.

    >>> paint(np.array([0.0, 1.0], np.float32), "ember").round(2).tolist()
    [[0.8500000238418579, 0.0, 0.33000001311302185], [1.0, 1.0, 0.0]]
    """
    at = np.nan_to_num(position)[..., None]
    if colours == DEFAULTS[False]:
        found = _line(_FOR, at)
    elif colours == DEFAULTS[True]:
        away = 2.0 * at - 1.0
        found = np.where(away < 0.0, _line(_AGAINST, -away), _line(_FOR, away))
    else:
        found = mpl.colormaps[colours](at[..., 0])[..., :3]
    return np.where(np.isnan(position)[..., None], 0.0, found).astype(np.float32)


def bar(scale: Scale, rows: int, cols: int) -> Floats:
    """The scale's whole range from left to right as it looks over mid-grey, float32 (rows, cols, 3)."""
    position = np.linspace(0.0, 1.0, cols, dtype=np.float32)
    strength = np.abs(2.0 * position - 1.0) if scale.signed else position
    covered = (scale.opacity * strength)[:, None]
    seen = covered * paint(position, scale.colours) + (1.0 - covered) * GROUND
    return np.asarray(np.broadcast_to(seen, (rows, cols, 3)), dtype=np.float32)


def table(name: str) -> npt.NDArray[np.uint8]:
    """The 256 colours, uint8 (256, 3), of one of `COLOURS`.

    >>> table("ember")[[0, 255]].tolist()
    [[217, 0, 84], [255, 255, 0]]
    """
    colours = paint(np.linspace(0.0, 1.0, 256, dtype=np.float32), name)
    return np.asarray(np.rint(255.0 * colours), dtype=np.uint8)


def known(colours: str | None) -> None:
    """Make sure that there are such colours.

    Raises:
        UnknownName: There are none.
    """
    if colours is not None and not (isinstance(colours, str) and colours in COLOURS):
        names = ", ".join(map(repr, COLOURS))
        raise UnknownName(f"There are no colours called {colours!r}: known are {names}. Name one of these.")


def printed(value: float, digits: int = 3) -> str:
    """A number as a journal prints it, with a true minus sign and powers of ten.

    >>> printed(0.25), printed(12345.0, digits=5)
    ('0.25', '12345')
    """
    mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
    text = mantissa.replace("-", "\N{MINUS SIGN}")
    if exponent:
        text += f" \N{MULTIPLICATION SIGN} 10{str(int(exponent)).translate(_RAISED)}"
    return text


def _line(ends: tuple[tuple[float, ...], tuple[float, ...]], at: Floats) -> Floats:
    """Colours a share of the way from one to the other."""
    start, stop = map(np.array, ends)
    return np.asarray(start + at * (stop - start), dtype=np.float32)


def _scale(maps: Sequence[Heatmap], rule: Rule, over: Over, names: _Names) -> Scale:
    first = maps[0]
    # Infinities would leave nothing else to be seen.
    sizes = [magnitudes(one.values) for one in maps]
    most = [float(size.max()) for size in sizes]
    at = int(np.argmax(most))
    cell = int(sizes[at].argmax())
    # Words share the cells of a grid; images and tiles have cells of their own.
    grids = {(one.method, one.grid.image, one.grid.to_source.tobytes()): one.values.size for one in maps}
    cells = max(sum(size for key, size in grids.items() if key[0] == one.method) for one in maps)
    curve = "root" if rule == "each" else rule
    return Scale(
        top=max(most[at], least(first.unit, cells)),
        highest=most[at],
        peak=_peak(maps, at, cell, names),
        curve=curve,
        over=over,
        signed=first.signed,
        unit=first.unit,
        colours=DEFAULTS[first.signed],
        negative=bool(maps[at].values.flat[cell] < 0),
    )


def _peak(maps: Sequence[Heatmap], at: int, cell: int, names: _Names) -> str:
    """Where the highest value lies: the cell, and what tells its map from the others."""
    one = maps[at]
    parts, images = names
    row, col = divmod(cell, one.shape[1])
    found = ""
    if len({two.target.scalar for two in maps}) > 1:
        found = f" for “{visible(_short(one.target.text.strip()))}”"
    found += f" at row {row + 1}, column {col + 1}"
    if len({two.grid.image for two in maps}) > 1:
        found += f" of {images.get(id(one), f'image {one.grid.image + 1}')}"
    if one.grid.label and len({two.grid.label for two in maps}) > 1:
        found += f" of {visible(one.grid.label)}"
    if len({two.method for two in maps}) > 1:
        found += f" by {visible(one.method)}"
    if len({two.layer for two in maps}) > 1:
        found += f" in {visible(layer_name(one))}"
    if len({parts.get(id(two)) for two in maps}) > 1:
        found += f" in {visible(parts[id(one)])}"
    return found


def _short(text: str) -> str:
    """The text, which may be a whole report, cut to what leaves room for its place."""
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1].rstrip()}…"
