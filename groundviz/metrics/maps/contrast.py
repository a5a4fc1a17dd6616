"""How far do values in the reference stand out from those around it? The contrast-to-noise ratio."""

from __future__ import annotations

import numpy as np

from groundviz.metrics.toolkit.cells import Cells
from groundviz.metrics.toolkit.metric import METRICS, NAN, Metric
from groundviz.record.types import Doubles

SOURCE = "Boecking et al., Making the most of text semantics (BioViL), 2022"
UNDEFINED = "reference fills the view, or no spread on either side"


def _signed(cells: Cells) -> float:
    outside = np.maximum(cells.area - cells.inside, 0.0)
    if not outside.sum() > 1e-12 * cells.area.sum():
        return NAN
    if cells.flag:
        return 0.0
    mean_in, variance_in = _moments(cells.values, cells.inside)
    mean_out, variance_out = _moments(cells.values, outside)
    spread = variance_in + variance_out
    # A map of two values alone, one on each side, has an infinite contrast, with which no mean can be made.
    if not spread > 0:
        return NAN
    return float((mean_in - mean_out) / np.sqrt(spread))


def _moments(values: Doubles, weights: Doubles) -> tuple[float, float]:
    """The mean and the population variance."""
    whole = weights.sum()
    mean = values @ weights / whole
    return float(mean), float((values - mean) ** 2 @ weights / whole)


def _zero(cells: Cells) -> float:
    if not cells.share < 1:
        return NAN
    return 0.0


def _absolute_by_chance(cells: Cells) -> float:
    """The mean of the size of a normal variable that varies as the difference of both means does."""
    if not cells.share < 1:
        return NAN
    if cells.flag:
        return 0.0
    outside = cells.area - cells.inside
    weights = cells.inside / cells.inside.sum() - outside / outside.sum()
    count = cells.values.size
    variance = float(weights @ weights) * count / max(count - 1, 1) / 2
    return float(np.sqrt(2 / np.pi * variance))


METRICS.add(
    "cnr",
    Metric(of=_signed, chance_of=_zero),
    shows="Mean inside minus mean outside, over the root of both variances; below zero where the map "
    "avoids the reference.",
    unit="standard deviations",
    chance="0, to first order",
    higher_is_better=True,
    source=SOURCE + ", with its sign kept",
    known_failure="One value far above the rest makes it small. The mean of CNR can rise while IoU falls.",
    undefined=UNDEFINED,
)
METRICS.add(
    "cnr_abs",
    Metric(of=lambda cells: abs(_signed(cells)), chance_of=_absolute_by_chance),
    shows="The size of cnr, whatever its sign: for comparison with published numbers alone.",
    unit="standard deviations",
    chance="above 0, and larger for small references: given as if means were normal",
    higher_is_better=True,
    source=SOURCE,
    known_failure="A map that avoids the reference scores as one that finds it.",
    undefined=UNDEFINED,
)
