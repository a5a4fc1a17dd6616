"""Any metrics of one map and one reference, each beside what chance would give."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy.typing as npt

from groundviz.errors import OptionError
from groundviz.metrics.space import Maps, Space, place
from groundviz.metrics.toolkit.cells import Cells
from groundviz.metrics.toolkit.metric import METRICS, NAN, Facts, Metric
from groundviz.metrics.toolkit.rules import Rule

# What is measured unless metrics are named: no single one of them is enough.
DEFAULT = (
    "pointing",
    "hit_cell",
    "hit_pixel",
    "energy",
    "rank_accuracy",
    "ap",
    "ap_adjusted",
    "auroc",
    "cnr",
    "iou@mass:0.5",
    "dice@mass:0.5",
    "iou@area",
    "iou_ceiling",
    "reference_outside",
)
DEFAULT_DENSITY = ("ncc", "kl", "auc_judd")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One metric of one map.

    Attributes:
        metric: Its registered name.
        variant: The rule that cut the map, such as "mass:0.5"; empty where none did.
        value: The number; NaN where there is none, and `flag` says why.
        chance: What the same values, dealt to the cells at random, would have on average.
        flag: Why the map is scored by expectation, or why there is no value; empty where all is well.
    """

    metric: str
    variant: str
    value: float
    chance: float
    flag: str

    @property
    def name(self) -> str:
        """The metric, and the rule behind an "@"."""
        if self.variant:
            return f"{self.metric}@{self.variant}"
        return self.metric


def measure(
    maps: Maps,
    reference: npt.ArrayLike,
    *,
    shape: tuple[int, int] | None = None,
    space: Space = "grid",
    metrics: Iterable[str] | None = None,
    density: bool = False,
) -> tuple[Measured, ...]:
    """Some metrics of a map, each beside what chance would give.

    Args:
        maps: As `place` takes them.
        reference: As `place` takes it.
        shape: Rows and columns of the source image; needed for boxes.
        space: "grid" or "image", see `SPACES`.
        metrics: Names of `METRICS`, each with a rule behind an "@" where it cuts the map: "iou@otsu". Those
            of `DEFAULT`, or of `DEFAULT_DENSITY` for a density, when None.
        density: Whether the reference is a density, such as a gaze map.

    Raises:
        OptionError: As for `place`; or a metric for regions is asked of a density, or the other way round.
        UnknownName: There is no such metric.

    Cost: 4 to 10 ms in grid space for the default metrics; in image space 0.1 s for 512 x 512 pixels, and 6 s
    for 2500 x 3000.

    >>> (found,) = measure([[0.0, 3.0], [0.0, 1.0]], [[2, 0, 4, 1]], shape=(4, 4), metrics=["pointing"])
    >>> found.value, found.chance, found.flag
    (0.5, 0.125, '')
    """
    if metrics is None:
        metrics = DEFAULT_DENSITY if density else DEFAULT
    asked = [parsed(name) for name in metrics]
    for metric, _ in asked:
        _suits(metric, density=density)
    return measure_cells(place(maps, reference, shape=shape, space=space, density=density), asked)


def measure_cells(cells: Cells, asked: Iterable[tuple[str, str]]) -> tuple[Measured, ...]:
    """Some metrics of cells that were placed before: pairs of a name and a rule, as `parsed` gives them."""
    return tuple(_one(cells, metric, rule) for metric, rule in asked)


def score(
    heatmap: Maps,
    reference: npt.ArrayLike,
    *,
    shape: tuple[int, int] | None = None,
    space: Space = "grid",
    metrics: Iterable[str] | None = None,
    density: bool = False,
) -> dict[str, float]:
    """Some metrics of a map by their names; `measure` tells chance and flags beside them.

    Args:
        heatmap: A heatmap; several of one image, in image space alone; or an array that covers the image.
        reference: bool (rows, cols) in source pixels; or boxes (box, 4) of half-open (left, top, right,
            bottom); or, for a density, float (rows, cols).
        shape: Rows and columns of the source image; needed for boxes.
        space: "grid": cells as they are. "image": every pixel, bilinear. Never compare one with the other.
        metrics: Names, each with a rule behind an "@" where it cuts the map; the default ones when None.
        density: Whether the reference is a density, such as a gaze map.

    Returns:
        NaN where a metric has no value, as with an empty reference.

    Raises:
        OptionError: Map, reference and image do not fit each other, or there is no such space or rule.
        UnknownName: There is no such metric.

    >>> import numpy as np
    >>> heat = np.array([[0.0, 3.0], [0.0, 1.0]])
    >>> score(heat, [[2, 0, 4, 1]], shape=(4, 4), metrics=["pointing", "energy", "iou@area"])
    {'pointing': 0.5, 'energy': 0.375, 'iou@area': 0.3333333333333333}
    """
    found = measure(heatmap, reference, shape=shape, space=space, metrics=metrics, density=density)
    return {one.name: one.value for one in found}


def parsed(name: str) -> tuple[str, str]:
    """The metric and the rule that a name such as "iou@otsu" states; its own rule where none is named.

    Raises:
        OptionError: A rule is named for a metric that cuts no map, or there is no such rule.
        UnknownName: There is no such metric.

    >>> parsed("iou@quantile:0.9"), parsed("iou"), parsed("ap")
    (('iou', 'quantile:0.9'), ('iou', 'mass:0.5'), ('ap', ''))
    """
    metric, _, rule = name.partition("@")
    facts = facts_of(metric)
    if not rule:
        return metric, facts.rule
    if not facts.rule:
        raise OptionError(
            f"The metric {metric!r} cuts no map, and has the rule {rule!r}. Leave the rule out."
        )
    return metric, str(Rule.named(rule))


def facts_of(name: str) -> Facts:
    """What is known of a metric.

    Raises:
        UnknownName: There is no such metric.
    """
    facts: Facts = METRICS.facts(name)
    return facts


def _suits(metric: str, *, density: bool) -> None:
    against = facts_of(metric).against
    if against != "cells" and density != (against == "density"):
        found = "a density" if density else "a region"
        raise OptionError(
            f"The metric {metric!r} compares a map with a {against}, and the reference is {found}."
        )


def _one(cells: Cells, metric: str, rule: str) -> Measured:
    entry = METRICS[metric]
    if isinstance(entry, Metric):
        value, chance = entry.on(cells, rule), entry.chance(cells, rule)
    else:
        # Of another package, which knows arrays alone.
        value, chance = float(entry(cells.values, cells.inside, cells.area)), NAN
    flag = cells.flag
    if not flag and value != value:
        flag = facts_of(metric).undefined
    return Measured(metric=metric, variant=rule, value=value, chance=chance, flag=flag)
