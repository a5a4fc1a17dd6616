"""How improbable what came of a marked place is among what came of moved copies of it."""

from __future__ import annotations

import numpy as np

from groundviz.record.types import Doubles, Samples

# How improbable it must be.
LEVEL = 0.05


def p_value(own: float, others: Doubles) -> float:
    """(1 + copies with at least as much) / (copies + 1).

    >>> p_value(2.0, np.array([0.0, 1.0, 2.0]))
    0.5
    """
    return (1 + int(np.sum(others >= own))) / (len(others) + 1)


def is_rare(p: float) -> bool:
    """Whether a p is at most `LEVEL`; shares of twentieths are not exact in binary."""
    return p <= LEVEL + 1e-9


def partial(samples: Samples) -> str:
    """How far interrupted work came, as a further sentence; empty where it is whole."""
    return "" if samples.complete else f" Partial: {samples.done} of {samples.asked} copies."
