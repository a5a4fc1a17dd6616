"""How a map is cut into selected and other cells: a declared rule, such as "mass:0.5" or "otsu"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from groundviz.errors import OptionError
from groundviz.metrics.toolkit.cells import Cells
from groundviz.record.types import Doubles

# Each rule: what it selects, and the range of its number; None where it has none.
RULES: dict[str, tuple[str, tuple[float, float] | None]] = {
    "mass": ("the fewest cells that hold this share of the positive mass", (0.0, 1.0)),
    "fraction": ("cells above this fraction of the way from the lowest to the highest value", (0.0, 1.0)),
    "pm1": ("cells above this value when the map is stretched to -1 ... 1", (-1.0, 1.0)),
    "raw": ("cells above this value, in the map's own unit", (-np.inf, np.inf)),
    "quantile": ("cells at or above this quantile of the values", (0.0, 1.0)),
    "otsu": ("cells above Otsu's threshold of the map, stretched to 0 ... 255 and truncated", None),
    "area": ("the highest cells, as much area as the reference has", None),
}
# Thresholds that some papers average over.
STEPS = (0.1, 0.2, 0.3, 0.4, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a rule selected.

    Attributes:
        inside: The selected area that the reference covers.
        area: The selected area.
    """

    inside: float
    area: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One way to cut a map.

    Attributes:
        kind: One of `RULES`.
        number: Its number; NaN where it has none, or where a metric averages over `STEPS`.

    >>> str(Rule(kind="mass", number=0.5)), str(Rule.named("otsu"))
    ('mass:0.5', 'otsu')
    """

    kind: str
    number: float = float("nan")

    @classmethod
    def named(cls, name: str) -> Rule:
        """The rule that a name such as "mass:0.5" states.

        Raises:
            OptionError: There is no such rule, or its number is missing or out of range.

        >>> Rule.named("quantile:0.9")
        Rule(kind='quantile', number=0.9)
        """
        kind, _, number = name.partition(":")
        if kind not in RULES:
            raise OptionError(f"There is no rule called {kind!r} to cut a map. Known: {', '.join(RULES)}.")
        bounds = RULES[kind][1]
        if bounds is None:
            if number:
                raise OptionError(f"The rule {kind!r} takes no number, and has {number!r}. Leave it out.")
            return cls(kind=kind)
        if not number:
            return cls(kind=kind)
        try:
            value = float(number)
        except ValueError:
            value = float("nan")
        if not bounds[0] <= value <= bounds[1]:
            raise OptionError(
                f"The rule {kind!r} needs a number from {bounds[0]:g} to {bounds[1]:g}, and has {number!r}. "
                f'Write for example "{kind}:0.5".'
            )
        return cls(kind=kind, number=value)

    def at(self, number: float) -> Rule:
        """The same rule at another number."""
        return Rule(kind=self.kind, number=number)

    def __str__(self) -> str:
        if np.isnan(self.number):
            return self.kind
        return f"{self.kind}:{self.number:g}"


def select(cells: Cells, rule: Rule) -> Selection:
    """The part of a map that a rule selects.

    A map that points nowhere has no highest cells: all of them are selected, or, by area, each in part.

    Raises:
        OptionError: The rule lacks its number.
    """
    if RULES[rule.kind][1] is not None and np.isnan(rule.number):
        raise OptionError(f'The rule {rule.kind!r} lacks its number. Write for example "{rule.kind}:0.5".')
    groups = cells.groups
    if rule.kind == "area":
        # The last group is taken in part: no order of equal cells decides.
        wanted = min(cells.reference, float(groups.area[-1]))
        inside = np.interp(wanted, np.append(0.0, groups.area), np.append(0.0, groups.inside))
        return Selection(inside=float(inside), area=wanted)
    count = groups.values.size
    if not cells.flag:
        count = _selected_groups(cells, rule)
    if count == 0:
        return Selection(inside=0.0, area=0.0)
    return Selection(inside=float(groups.inside[count - 1]), area=float(groups.area[count - 1]))


def _selected_groups(cells: Cells, rule: Rule) -> int:
    """How many groups of equal values a rule selects, from the highest down."""
    falling = cells.groups.values
    low, high = float(falling[-1]), float(falling[0])
    if rule.kind == "mass":
        return _of_mass(cells, rule.number)
    if rule.kind == "quantile":
        return int((falling >= np.quantile(cells.values, rule.number)).sum())
    if rule.kind == "raw":
        return int((falling > rule.number).sum())
    stretched = (falling - low) / (high - low)
    if rule.kind == "fraction":
        return int((stretched > rule.number).sum())
    if rule.kind == "pm1":
        return int((2 * stretched - 1 > rule.number).sum())
    shades = np.trunc(255 * stretched)
    held = np.diff(cells.groups.area, prepend=0.0)
    weights = np.bincount(shades.astype(int), held, minlength=256)
    return int((shades > otsu(weights.astype(np.float64))).sum())


def _of_mass(cells: Cells, share: float) -> int:
    groups = cells.groups
    mass = np.cumsum(np.maximum(groups.values, 0.0) * groups.counts)
    if not mass[-1] > 0 or share == 0:
        return 0
    # As groundviz.record.mass counts: rounding must not keep the whole from being reached.
    return int(np.searchsorted(mass, share * mass[-1] * (1 - 1e-12))) + 1


def otsu(weights: Doubles) -> int:
    """Otsu's threshold of a histogram: the shade up to which the lower of two classes reaches.

    It maximises the variance between both classes; the lowest of equal thresholds is taken.
    Source: Otsu, "A threshold selection method from gray-level histograms", 1979.

    >>> otsu(np.array([5.0, 5.0, 0.0, 0.0, 5.0, 5.0]))
    1
    """
    shades = np.arange(weights.size)
    total = weights.sum()
    below = np.cumsum(weights)
    sums = np.cumsum(weights * shades)
    both = (below > 0) & (below < total)
    above = np.where(both, total - below, 1.0)
    lower = sums / np.where(below > 0, below, 1.0)
    upper = (sums[-1] - sums) / above
    between = np.where(both, below * above * (lower - upper) ** 2, -1.0)
    # Thresholds with nothing between them are equal, whatever their last digits.
    return int(np.flatnonzero(between >= between.max() * (1 - 1e-12))[0])
