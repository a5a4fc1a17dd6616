"""How scattered attention is over an image, and where a sorted curve bends."""

from __future__ import annotations

import numpy as np
from skimage.measure import label

from groundviz.record.types import Bools, Doubles, Floats, Ints


def elbow(values: Doubles) -> float:
    """The value at which a sorted curve bends most: farthest below the chord between its ends.

    >>> elbow(np.array([0.3, 0.01, 0.02, 0.03, 0.31, 0.0]))
    0.03
    """
    curve = np.sort(values, axis=None)
    chord = np.linspace(curve[0], curve[-1], curve.size)
    return float(curve[np.argmax(chord - curve)])


def farthest(values: Doubles) -> float:
    """The value of a sorted curve that lies farthest from the chord between its ends, on either side.

    >>> farthest(np.array([0.0, 0.3, 0.31, 0.32]))
    0.3
    """
    curve = np.sort(values, axis=None)
    chord = np.linspace(curve[0], curve[-1], curve.size)
    return float(curve[np.argmax(np.abs(chord - curve))])


def spatial_entropy(maps: list[Floats], *, speck: float = 0.0) -> float:
    """How scattered attention is, in nats: 0 for one region, infinite where nothing stands out.

    Args:
        maps: Attention of one head on each grid, NaN where a cell has no token.
        speck: A cell belongs to a region when it exceeds twice the mean by more than this. What does
            not still counts in the whole that shares are taken of.

    >>> round(spatial_entropy([np.array([[9.0, 0, 0, 0, 0, 0, 0, 0, 9.0]])]), 4)  # two equal regions
    0.6931
    """
    mean = np.concatenate([one[np.isfinite(one)] for one in maps]).mean(dtype=np.float64)
    excess = [np.nan_to_num(one - 2 * mean).clip(min=0) for one in maps]
    whole = sum(float(one.sum()) for one in excess)
    regions = [np.bincount(_regions(one > speck).flat, one.flat)[1:] for one in excess]
    sums = np.concatenate(regions)
    shares = sums / whole if whole > 0 else sums
    return float(-(shares * np.log(shares)).sum()) + 0.0 if whole > 0 else np.inf


def _regions(mask: Bools) -> Ints:
    """The number of the region each cell belongs to, 0 for none; cells that touch at a corner are one."""
    numbers: Ints = label(mask, connectivity=2)  # type: ignore[no-untyped-call]
    return numbers
