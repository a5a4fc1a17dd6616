"""What no map can change: what the model never saw of a reference, and the best that its cells could do."""

from __future__ import annotations

import numpy as np

from groundviz.metrics.toolkit.cells import Cells
from groundviz.metrics.toolkit.metric import METRICS, Metric
from groundviz.record.types import Doubles


def best_iou(inside: Doubles, area: Doubles) -> float:
    """The highest IoU that a selection of whole cells can have; NaN where the reference covers none.

    The best selection of any size takes the cells that are covered most, so one pass over them finds it.

    Args:
        inside: (cell,) the area of each cell that the reference covers.
        area: (cell,) the area of each cell that shows the image.

    >>> best_iou(np.array([1.0, 0.5, 0.0]), np.array([1.0, 1.0, 1.0]))
    0.75
    """
    if not inside.sum() > 0:
        return float("nan")
    order = np.argsort(-inside / area, kind="stable")
    covered, taken = np.cumsum(inside[order]), np.cumsum(area[order])
    return float((covered / (taken + covered[-1] - covered)).max())


def _same_for_any_map(number: str) -> Metric:
    def of(cells: Cells) -> float:
        return float(getattr(cells, number))

    return Metric(of=of, chance_of=of, unseen=True)


METRICS.add(
    "iou_ceiling",
    _same_for_any_map("ceiling"),
    shows="The highest IoU that a selection of whole token cells could have with the reference.",
    unit="share",
    chance="the same: it depends on the reference and on the cells alone",
    higher_is_better=True,
    source="computed: cells are taken in the order of how much of each the reference covers",
    known_failure="It bounds selections of cells, and no interpolated map.",
    against="cells",
    undefined="cells unknown",
)
METRICS.add(
    "reference_outside",
    _same_for_any_map("outside"),
    shows="The share of the reference that the model never saw, as where its processor crops the image.",
    unit="share",
    chance="the same: it depends on the reference and on the view alone",
    higher_is_better=False,
    source="computed from the geometry of the grid",
    known_failure="Cells that a model ignores although they show the image count as seen.",
    against="cells",
    undefined="view unknown",
)
