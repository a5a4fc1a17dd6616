"""How well does a map, cut by a declared rule, overlap the reference? IoU, Dice, precision and recall."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from groundviz.metrics.toolkit.cells import Cells
from groundviz.metrics.toolkit.metric import METRICS, NAN, Metric
from groundviz.metrics.toolkit.rules import STEPS, Rule, Selection, select

Overlap = Callable[[Selection, float], float]
DEFAULT_RULE = "mass:0.5"
STEPPED_RULE = "raw"

RULED = "It depends on the rule, and on its number: one that was chosen on the test cases flatters."


def _iou(selected: Selection, reference: float) -> float:
    return selected.inside / (selected.area + reference - selected.inside)


def _dice(selected: Selection, reference: float) -> float:
    return 2 * selected.inside / (selected.area + reference)


def _precision(selected: Selection, reference: float) -> float:
    if not selected.area > 0:
        return NAN
    return selected.inside / selected.area


def _recall(selected: Selection, reference: float) -> float:
    return selected.inside / reference


def _at_rule(overlap: Overlap) -> Callable[..., float]:
    def of(cells: Cells, rule: Rule | None = None) -> float:
        return overlap(select(cells, rule or Rule.named(DEFAULT_RULE)), cells.reference)

    return of


def _by_chance(overlap: Overlap) -> Callable[..., float]:
    """Of as much area selected anywhere; exact for what is linear in the overlap."""

    def of(cells: Cells, rule: Rule | None = None) -> float:
        area = select(cells, rule or Rule.named(DEFAULT_RULE)).area
        return overlap(Selection(inside=area * cells.share, area=area), cells.reference)

    return of


def _iou_by_chance(cells: Cells, rule: Rule | None = None) -> float:
    """As above, with the second-order term, since IoU is no linear function of the overlap."""
    area = select(cells, rule or Rule.named(DEFAULT_RULE)).area
    mean = area * cells.share
    count = cells.values.size
    # Drawing without replacement: nothing varies once all is selected.
    left = max(count - area, 0.0) / max(count - 1, 1)
    variance = area * float(np.var(cells.inside)) * left
    together = area + cells.reference
    curvature = 2 * together / (together - mean) ** 3
    return mean / (together - mean) + curvature * variance / 2


def _mean_over_steps(one: Callable[..., float]) -> Callable[..., float]:
    def of(cells: Cells, rule: Rule | None = None) -> float:
        named = rule or Rule.named(STEPPED_RULE)
        return float(np.mean([one(cells, named.at(step)) for step in STEPS]))

    return of


METRICS.add(
    "iou",
    Metric(of=_at_rule(_iou), chance_of=_iou_by_chance),
    shows="Intersection over union of the selected cells and the reference.",
    unit="share",
    chance="of as much area selected at random, to second order",
    higher_is_better=True,
    source="Jaccard index; the rule is named beside it",
    known_failure="Cells are larger than pixels: no map can exceed iou_ceiling. " + RULED,
    rule=DEFAULT_RULE,
)
METRICS.add(
    "dice",
    Metric(of=_at_rule(_dice), chance_of=_by_chance(_dice)),
    shows="Dice coefficient of the selected cells and the reference.",
    unit="share",
    chance="of as much area selected at random",
    higher_is_better=True,
    source="Dice, 1945; the rule is named beside it",
    known_failure=RULED,
    rule=DEFAULT_RULE,
)
METRICS.add(
    "precision",
    Metric(of=_at_rule(_precision), chance_of=_by_chance(_precision)),
    shows="The share of the selected area that lies in the reference.",
    unit="share",
    chance="the share of the view that the reference covers",
    chance_is_share=True,
    higher_is_better=True,
    source="the rule is named beside it",
    known_failure="Selecting less makes it higher. " + RULED,
    rule=DEFAULT_RULE,
    undefined="nothing selected",
)
METRICS.add(
    "recall",
    Metric(of=_at_rule(_recall), chance_of=_by_chance(_recall)),
    shows="The share of the reference that is selected.",
    unit="share",
    chance="the share of the view that is selected",
    higher_is_better=True,
    source="the rule is named beside it",
    known_failure="Selecting everything makes it 1. " + RULED,
    rule=DEFAULT_RULE,
)
METRICS.add(
    "miou",
    Metric(of=_mean_over_steps(_at_rule(_iou)), chance_of=_mean_over_steps(_iou_by_chance)),
    shows="The mean of IoU at the thresholds 0.1, 0.2, 0.3, 0.4 and 0.5 of a rule.",
    unit="share",
    chance="of as much area selected at random at each threshold, to second order",
    higher_is_better=True,
    source="Boecking et al., 2022 (raw cosines); with pm1 as in later work, on maps stretched to -1 ... 1",
    known_failure="Thresholds of raw values mean something for cosines alone: of other units they select "
    "nothing or everything.",
    rule=STEPPED_RULE,
)
