"""Does a map lie where readers looked? Correlation, divergence and AUC against a gaze density."""

from __future__ import annotations

import numpy as np

from groundviz.metrics.toolkit.cells import Cells
from groundviz.metrics.toolkit.metric import METRICS, NAN, Metric
from groundviz.record.types import Doubles

SOURCE = "Bylinskii et al., What do different evaluation metrics tell us about saliency models?, 2019"
# Added to each share, as the source's code does: a logarithm of zero would decide alone.
TINY = 2.2204e-16


def _correlation(cells: Cells) -> float:
    density = cells.inside / cells.area
    centred = density - np.average(density, weights=cells.area)
    if not _spread(centred, cells.area) > 0:
        return NAN
    if cells.flag:
        return 0.0
    values = cells.values - np.average(cells.values, weights=cells.area)
    both = float(values * centred @ cells.area)
    return both / float(np.sqrt(_spread(values, cells.area) * _spread(centred, cells.area)))


def _spread(centred: Doubles, area: Doubles) -> float:
    return float(centred**2 @ area)


def _divergence(cells: Cells) -> float:
    positive = np.maximum(cells.values, 0.0) * cells.area
    if cells.flag:
        positive = cells.area
    return _kl(cells, positive)


def _divergence_of_even(cells: Cells) -> float:
    return _kl(cells, cells.area)


def _kl(cells: Cells, mass: Doubles) -> float:
    """How much is lost, in nats, by taking the map's shares for those of the density."""
    if not mass.sum() > 0:
        return NAN
    wanted, found = cells.inside / cells.inside.sum(), mass / mass.sum()
    return float(wanted @ np.log(TINY + wanted / (found + TINY)))


def _auc_judd(cells: Cells) -> float:
    """Thresholds at the values of fixated cells: trapezoids of their share over that of all other cells."""
    fixated = cells.inside > 0
    if fixated.all():
        return NAN
    if cells.flag:
        return 0.5
    inside, others = np.sort(cells.values[fixated])[::-1], np.sort(cells.values[~fixated])
    thresholds = np.unique(inside)[::-1]
    hits = np.searchsorted(-inside, -thresholds, side="right") / inside.size
    alarms = (others.size - np.searchsorted(others, thresholds, side="left")) / others.size
    hits, alarms = np.concatenate([[0.0], hits, [1.0]]), np.concatenate([[0.0], alarms, [1.0]])
    return float(np.diff(alarms) @ (hits[1:] + hits[:-1]) / 2)


METRICS.add(
    "ncc",
    Metric(of=_correlation, chance_of=lambda cells: 0.0, density=True),
    shows="The correlation of the map with the density, over cells.",
    unit="correlation",
    chance="0",
    higher_is_better=True,
    source=SOURCE + " (CC)",
    known_failure="Two maps with a bright centre correlate, whatever they show.",
    against="density",
    undefined="density even",
)
METRICS.add(
    "kl",
    Metric(of=_divergence, chance_of=_divergence_of_even, density=True),
    shows="The Kullback-Leibler divergence of the map's positive shares from those of the density.",
    unit="nats",
    chance="given: that of an even map, which a random one exceeds",
    higher_is_better=False,
    source=SOURCE + " (KL)",
    known_failure="A few cells of zero under the density decide it.",
    against="density",
    undefined="no positive mass",
)
METRICS.add(
    "auc_judd",
    Metric(of=_auc_judd, chance_of=lambda cells: 0.5, density=True),
    shows="The chance that a fixated cell has a higher value than another.",
    unit="probability",
    chance="0.5",
    higher_is_better=True,
    source=SOURCE + " (AUC-Judd: thresholds at the values of fixated cells)",
    known_failure="How long a cell was fixated does not count; a smooth density fixates nearly all cells.",
    against="density",
    undefined="every cell was fixated",
)
