"""Whether a map points at a finding: the pointing game, on the cells of the map."""

from __future__ import annotations

import numpy as np

from groundviz.record.types import Floats

# The share of the highest cell that a finding must cover.
ENOUGH = 0.10


def hit(values: Floats, coverage: Floats) -> float:
    """1.0 when the highest cell is covered enough, 0.0 when not; a constant map hits by chance.

    >>> import numpy as np
    >>> hit(np.array([[0.0, 2.0]]), np.array([[0.0, 0.3]]))
    1.0
    """
    highest = values >= np.nanmax(values)
    return float((coverage[highest] >= ENOUGH).mean())
