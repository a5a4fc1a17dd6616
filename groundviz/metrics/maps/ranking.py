"""Do cells of the reference rank above the others? Average precision, AUROC and rank accuracy."""

from __future__ import annotations

import numpy as np

from groundviz.metrics.toolkit.cells import Cells
from groundviz.metrics.toolkit.metric import METRICS, NAN, Metric
from groundviz.metrics.toolkit.rules import Rule, select


def _average_precision(cells: Cells) -> float:
    """Step-wise: the recall that each group of equal cells adds, times the precision down to it."""
    groups = cells.groups
    gained = np.diff(groups.inside, prepend=0.0)
    return float(gained @ (groups.inside / groups.area) / groups.inside[-1])


def _average_precision_by_chance(cells: Cells) -> float:
    """Its mean over all ways to deal the map's values to the cells, exactly, where all cells show the image.

    With m the covered part of each of n cells, of sum M: the mean of m times itself is a, and of m times that
    of another cell b. A group of g cells that ends at rank r adds g * (a + (r - 1) * b) / r to the mean of M
    * AP.
    """
    groups = cells.groups
    count, whole = cells.values.size, cells.reference
    if count == 1:
        return cells.share
    itself = float(cells.inside @ cells.inside) / count
    another = (whole**2 - itself * count) / (count * (count - 1))
    last = np.cumsum(groups.counts)
    added = groups.counts * (itself + (last - 1) * another) / last
    # Cells that show the image in part hold less of a reference than their number suggests.
    return float(added.sum() / whole) * count / float(cells.area.sum())


def _adjusted(cells: Cells) -> float:
    return _above_share(_average_precision(cells), cells.share)


def _adjusted_by_chance(cells: Cells) -> float:
    return _above_share(_average_precision_by_chance(cells), cells.share)


def _above_share(precision: float, share: float) -> float:
    if not share < 1:
        return NAN
    return (precision - share) / (1 - share)


def _auroc(cells: Cells) -> float:
    groups = cells.groups
    gained = np.diff(groups.inside, prepend=0.0)
    others = groups.area - groups.inside
    missed = np.diff(others, prepend=0.0)
    # Rounding of areas must not make a reference that fills the view look smaller than it.
    if not others[-1] > 1e-12 * groups.area[-1]:
        return NAN
    # Of a pair of equal cells each comes first in half of the cases.
    above = gained @ (others - missed / 2)
    return float(1 - above / (groups.inside[-1] * others[-1]))


def _half(cells: Cells) -> float:
    if not cells.share < 1:
        return NAN
    return 0.5


def _rank_accuracy(cells: Cells) -> float:
    top = select(cells, Rule.named("area"))
    return top.inside / cells.reference


METRICS.add(
    "ap",
    Metric(of=_average_precision, chance_of=_average_precision_by_chance),
    shows="Average precision of cells from the highest down: the area under precision over recall, in steps.",
    unit="share",
    chance="the share that the reference covers, and more on few cells: the exact mean is given",
    higher_is_better=True,
    source="as scikit-learn's average_precision_score, a cell half covered counting half on either side",
    known_failure="It depends on the size of the reference: compare maps on the same cases only.",
)
METRICS.add(
    "ap_adjusted",
    Metric(of=_adjusted, chance_of=_adjusted_by_chance),
    shows="Average precision above that of a constant map, as a share of what is left to gain.",
    unit="share",
    chance="0, and more on few cells: the exact mean is given",
    higher_is_better=True,
    source="(AP - p) / (1 - p) with p the share of the view that the reference covers",
    known_failure="Below zero for maps that avoid the reference, by an amount that depends on its size.",
    undefined="reference fills the view",
)
METRICS.add(
    "auroc",
    Metric(of=_auroc, chance_of=_half),
    shows="The chance that a point inside has a higher value than a point outside; ties count half.",
    unit="probability",
    chance="0.5",
    higher_is_better=True,
    source="as scikit-learn's roc_auc_score, a cell half covered counting half on either side",
    known_failure="Small references leave much easy background: a map without the image can exceed 0.85.",
    undefined="reference fills the view",
)
METRICS.add(
    "rank_accuracy",
    Metric(of=_rank_accuracy, chance_of=lambda cells: cells.share),
    shows="The share of the reference that the highest cells hold, of as much area as the reference has.",
    unit="share",
    chance="the share of the view that the reference covers",
    chance_is_share=True,
    higher_is_better=True,
    source="Arras et al., CLEVR-XAI, 2022 (relevance rank accuracy); equal cells count by expectation",
    known_failure="On coarse grids no map reaches 1, as cells at the border are covered in part.",
)
