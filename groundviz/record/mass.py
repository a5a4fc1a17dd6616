"""Where the mass of a map lies: the fewest cells that together hold a share of it.

Outlines of figures and of the viewer, boxes of exports and captions all count this way.
"""

from __future__ import annotations

import numpy as np

from groundviz.record.types import Bools, Floats


def magnitudes(values: Floats) -> Floats:
    """How much each cell holds, whatever its sign; what is not finite holds nothing."""
    return np.where(np.isfinite(values), np.abs(values), 0.0)


def heaviest(values: Floats, share: float) -> Bools:
    """The fewest cells that hold a share of a map's mass, which is the sum of the magnitudes of its values.

    Cells as heavy as the last one that is needed count, too, so that no order of cells decides. A flat map
    is all of it; a map of zeros, or without a value, has none.

    Args:
        values: Of any shape; what is not finite holds nothing.
        share: Above 0 to 1.

    >>> heaviest(np.array([0.1, -5.0, 1.0, 3.0], np.float32), 0.5).tolist()
    [False, True, False, False]
    """
    mass = magnitudes(values).astype(np.float64)
    if not mass.any():
        return np.zeros(mass.shape, dtype=bool)
    falling = np.sort(mass, axis=None)[::-1]
    held = np.cumsum(falling)
    # Rounding must not keep the whole of the mass from being reached.
    needed = int(np.searchsorted(held, share * held[-1] * (1 - 1e-12)))
    return np.asarray((mass >= falling[needed]) & (mass > 0))
