"""What a metric of maps is: a function of cells, what chance gives it, and the facts it states of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy.typing as npt

from groundviz.metrics.toolkit.cells import Cells
from groundviz.metrics.toolkit.rules import Rule
from groundviz.registry import Registry, no_function_of

NAN = float("nan")

# What a metric compares a map with, or that it speaks of the reference and the cells alone.
Against = Literal["region", "density", "cells"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the registration of a metric states; tables, reports and the documentation read it here.

    Attributes:
        shows: What it tells, in a sentence.
        unit: What a value counts.
        chance: What it is when the map's own values are dealt to the cells at random.
        chance_is_share: Whether that is the share of the view that the reference covers, whatever the map.
        higher_is_better: Whether a larger value is a better map.
        source: Where the definition is from.
        known_failure: What it misses, in one or more sentences.
        against: "region" for masks and boxes, "density" for gaze maps, "cells" for what no map changes.
        rule: How the map is cut where the metric needs that and no rule is named; empty where it cuts none.
        undefined: Why it has no value where it has none although there are a map and a reference.
    """

    shows: str
    unit: str
    chance: str
    higher_is_better: bool
    source: str
    known_failure: str
    against: Against = "region"
    rule: str = ""
    undefined: str = "undefined"
    chance_is_share: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number of a map against a reference.

    Attributes:
        of: The number of some cells, and of a rule where the metric cuts the map.
        chance_of: What it is on average when the map's own values are dealt to the cells at random.
        density: Whether the reference is a density in place of a region.
        unseen: Whether it has a value where the reference covers none of the cells, too.
    """

    of: Callable[..., float]
    chance_of: Callable[..., float]
    density: bool = False
    unseen: bool = False

    def __call__(
        self,
        values: npt.ArrayLike,
        coverage: npt.ArrayLike,
        valid: npt.ArrayLike | None = None,
        *,
        rule: str = "",
    ) -> float:
        """The number of a map and a coverage of one shape.

        Args:
            values: The map, of any shape; NaN is outside the view.
            coverage: How much of each cell the reference covers, from 0 to 1, or a bool mask.
            valid: Which cells count, or how much of each shows the image, from 0 to 1. All when None.
            rule: How the map is cut, where the metric needs that; the metric's own when empty.

        Returns:
            NaN where the reference is empty, or where the metric is undefined.

        Raises:
            OptionError: The arrays do not fit each other, or there is no such rule.
        """
        return self.on(Cells.of(values, coverage, valid, density=self.density), rule)

    def on(self, cells: Cells, rule: str = "") -> float:
        """The number of some cells; NaN where the reference covers none of them."""
        return self._guarded(self.of, cells, rule)

    def chance(self, cells: Cells, rule: str = "") -> float:
        """What chance gives on these cells; NaN where the reference covers none of them."""
        return self._guarded(self.chance_of, cells, rule)

    def _guarded(self, function: Callable[..., float], cells: Cells, rule: str) -> float:
        if not (self.unseen or cells.inside.any()):
            return NAN
        if rule:
            return float(function(cells, Rule.named(rule)))
        return float(function(cells))


def _stated(**facts: Any) -> Facts:
    """The facts of an entry; one of another package may leave any of them out."""
    unstated = dict.fromkeys(("shows", "unit", "chance", "source", "known_failure"), "not stated")
    return Facts(**{"higher_is_better": True, **unstated, **facts})


METRICS: Registry[Callable[..., float]] = Registry(
    "metric", "groundviz.metrics", no_function_of("values", "coverage", "valid"), facts=_stated
)
