"""How alike two maps are: the rank correlation of their cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from groundviz.record.types import Doubles, Heatmap


def rank_correlation(one: Sequence[Heatmap], other: Sequence[Heatmap]) -> float | None:
    """Spearman's rank correlation over the cells that both maps hold; None where there is none.

    Maps of one image in several grids are given grid by grid; grids of other sizes cannot be compared,
    and a map whose cells are all alike has no ranks.
    """
    if [heatmap.shape for heatmap in one] != [heatmap.shape for heatmap in other]:
        return None
    return spearman(flat(one), flat(other))


def spearman(one: Doubles, other: Doubles) -> float | None:
    """Spearman's rank correlation of two arrays of one shape, where both are finite.

    >>> spearman(np.array([1.0, 2.0, 3.0]), np.array([2.0, 30.0, 40.0]))
    1.0
    """
    known = np.isfinite(one) & np.isfinite(other)
    if known.sum() < 2:
        return None
    first, second = _ranks(one[known]), _ranks(other[known])
    first, second = first - first.mean(), second - second.mean()
    spread = np.sqrt((first @ first) * (second @ second))
    if spread == 0:
        return None
    return float(np.round(first @ second / spread, 12))


def flat(heatmaps: Sequence[Heatmap]) -> Doubles:
    """The values of a map, grid after grid, float64 (cell,)."""
    return np.concatenate([heatmap.values.reshape(-1).astype(np.float64) for heatmap in heatmaps])


def _ranks(values: Doubles) -> Doubles:
    """The rank of each value; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse], dtype=np.float64)
