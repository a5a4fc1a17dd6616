"""How much of a map's positive mass lies in the reference?"""

from __future__ import annotations

import numpy as np

from groundviz.metrics.toolkit.cells import Cells
from groundviz.metrics.toolkit.metric import METRICS, NAN, Metric


def _energy(cells: Cells) -> float:
    if cells.flag:
        return cells.share
    positive = np.maximum(cells.values, 0.0)
    # What a cell holds is spread evenly over it, and the part beyond the image does not count.
    whole = positive @ cells.area
    if not whole > 0:
        return NAN
    return float(positive @ cells.inside / whole)


METRICS.add(
    "energy",
    Metric(of=_energy, chance_of=lambda cells: cells.share),
    shows="The share of the map's positive mass that lies in the reference.",
    unit="share",
    chance="the share of the view that the reference covers",
    chance_is_share=True,
    higher_is_better=True,
    source="Wang et al., Score-CAM, 2020 (energy-based pointing game); Arras et al., 2022 (relevance mass)",
    known_failure="A low even floor under a good map spends most of its mass outside. It changes when "
    "a constant is added to the map.",
    undefined="no positive mass",
)
