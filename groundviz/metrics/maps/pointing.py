"""Does the highest place of a map lie in the reference? Four answers, as there are four conventions.

They differ most where findings are small beside cells. Here are 300 discs, each 10 pixels wide, in an image
of 14 by 14 cells of 8 pixels, and for each the best map there is: the share of every cell that the disc
covers. By cell all of them are hit; by pixel, one in twenty is not, as no centre of a cell need lie in a
disc; and a point drawn in the highest cell lies in its disc in 65 of 100 cases.

>>> from groundviz.metrics import place
>>> rows, cols = np.mgrid[:112, :112] + 0.5
>>> draw, found = np.random.default_rng(0), []
>>> for row, col in draw.uniform(10, 102, (300, 2)):
...     disc = (rows - row) ** 2 + (cols - col) ** 2 < 5**2
...     cells = place(disc.reshape(14, 8, 14, 8).mean(axis=(1, 3)), disc)
...     found.append([METRICS[name].on(cells) for name in ("hit_cell", "hit_pixel", "pointing")])
>>> np.mean(found, axis=0).round(2).tolist()
[1.0, 0.95, 0.65]
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from groundviz.metrics.toolkit.cells import Cells
from groundviz.metrics.toolkit.metric import METRICS, NAN, Metric

# The share of the highest cell that a reference must cover to be hit by it.
ENOUGH = 0.10

SOURCE = "Zhang et al., Top-down Neural Attention by Excitation Backprop, IJCV 2018"
FAILURE = "One cell decides: the rest of the map may lie anywhere. Large references are easily hit."


def _highest(cells: Cells) -> npt.NDArray[np.int64]:
    """The cells that share the highest value."""
    groups = cells.groups
    return groups.order[: groups.counts[0]]


def _pointing(cells: Cells) -> float:
    groups = cells.groups
    return float(groups.inside[0] / groups.area[0])


def _first(cells: Cells) -> float:
    """The first of the highest cells alone: the order of cells is stable."""
    if cells.flag:
        return cells.share
    first = cells.groups.order[0]
    return float(cells.inside[first] / cells.area[first])


def _touched(cells: Cells) -> npt.NDArray[np.bool_]:
    # Shares are computed: one that is a tenth may be a last digit below it.
    return cells.inside / cells.area >= ENOUGH - 1e-9


def _by_cell(cells: Cells) -> float:
    return float(_touched(cells)[_highest(cells)].mean())


def _by_pixel(cells: Cells) -> float:
    if cells.centres is None:
        return NAN
    return float(cells.centres[_highest(cells)].mean())


def _chance_by_pixel(cells: Cells) -> float:
    if cells.centres is None:
        return NAN
    return float(cells.centres.mean())


METRICS.add(
    "pointing",
    Metric(of=_pointing, chance_of=lambda cells: cells.share),
    shows="The chance that a point drawn in the highest cell lies in the reference.",
    unit="probability",
    chance="the share of the view that the reference covers",
    chance_is_share=True,
    higher_is_better=True,
    source=SOURCE + "; equal highest values count by expectation",
    known_failure=FAILURE,
)
METRICS.add(
    "hit_cell",
    Metric(of=_by_cell, chance_of=lambda cells: float(_touched(cells).mean())),
    shows="Whether the reference covers at least a tenth of the highest cell.",
    unit="hits",
    chance="the share of cells that the reference covers by a tenth",
    higher_is_better=True,
    source="the convention of the demo model's card; equal highest values count by expectation",
    known_failure="A coarse grid hits small findings by touching them, and so beats a fine one. " + FAILURE,
)
METRICS.add(
    "hit_pixel",
    Metric(of=_by_pixel, chance_of=_chance_by_pixel),
    shows="Whether the centre of the highest cell lies in the reference.",
    unit="hits",
    chance="the share of cells whose centre lies in the reference",
    higher_is_better=True,
    source=SOURCE + ", with the map at the size of its cells",
    known_failure="A finding that lies between the centres of cells cannot be hit. " + FAILURE,
    undefined="centres of cells unknown",
)
METRICS.add(
    "hit_first",
    Metric(of=_first, chance_of=lambda cells: cells.share),
    shows="The pointing game of the first highest cell, row by row, as CheXlocalize plays it in image space.",
    unit="probability",
    chance="the share of the view that the reference covers, where no two cells are equal",
    chance_is_share=True,
    higher_is_better=True,
    source="Saporta et al., Benchmarking saliency methods for chest X-ray interpretation, 2022",
    known_failure="Of equal highest cells the first counts, whichever that is. " + FAILURE,
)
