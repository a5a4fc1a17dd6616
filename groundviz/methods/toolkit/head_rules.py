"""By which rules localisation heads are chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from groundviz.methods.toolkit.dispersion import elbow, farthest, spatial_entropy
from groundviz.methods.toolkit.method import laid_out
from groundviz.record.types import Floats, Grid

# In the published code, as shares of a row's attention: what a cell must exceed beside twice the mean to
# belong to a region, and what a cell of the bottom row may draw. Its heads come from layer 2 on.
SPECK, AT_THE_BOTTOM, FIRST_LAYER = 0.001, 0.05, 2


@dataclass(frozen=True, slots=True)
class Head:
    """An attention head, its mean attention to the image, and how scattered that is in nats."""

    layer: int
    head: int
    mass: float
    entropy: float

    @property
    def described(self) -> dict[str, float | None]:
        """What a record can hold: no entropy where nothing stood out in the map."""
        known = math.isfinite(self.entropy)
        return {**asdict(self), "mass": float(self.mass), "entropy": self.entropy if known else None}


def by_answer(attention: Floats, grids: Sequence[Grid], heads: int) -> list[Head]:
    """Those that look at the image more than the elbow over an answer's words, least scattered first.

    Args:
        attention: Of the words, (token, layer, head, cell).
        grids: Where the cells lie.
        heads: How many to choose at the most.
    """
    mass = attention.sum(axis=-1).mean(axis=0, dtype=np.float64)
    above = mass > elbow(mass)
    passing = np.argwhere(above if above.any() else ~above)
    found = [
        Head(int(layer), int(head), mass[layer, head], _entropy(attention[:, layer, head], grids))
        for layer, head in passing
    ]
    return sorted(found, key=lambda one: (one.entropy, -one.mass))[:heads]


def published(attention: Floats, grids: Sequence[Grid], heads: int, layers: Sequence[int]) -> list[Head]:
    """Those that the authors' code would choose from the row of the prompt's last token.

    Args:
        attention: Of that row, (layer, head, cell).
        grids: Where the cells lie.
        heads: How many to choose at the most.
        layers: The model's number of each layer.
    """
    mass = attention.sum(axis=-1, dtype=np.float64)
    least = farthest(mass)
    found, others = [], []
    for layer, head in np.ndindex(*mass.shape):
        placed = _placed(attention[None, layer, head], grids)[0]
        low = mass[layer, head] < least
        entropy = math.inf if low else spatial_entropy(placed, speck=SPECK)
        one = Head(int(layer), int(head), mass[layer, head], entropy)
        bottom = not low and any((image[-1] > AT_THE_BOTTOM).any() for image in placed)
        if not bottom:
            others.append(one)
        if not bottom and math.isfinite(entropy) and layers[layer] >= FIRST_LAYER:
            found.append(one)
    # Where no head is left, theirs falls back on the one that looks at the image most.
    found = found or sorted(others, key=lambda one: -one.mass)[:1]
    return sorted(found, key=lambda one: one.entropy)[:heads]


def _entropy(attention: Floats, grids: Sequence[Grid]) -> float:
    """The mean spatial entropy of one head's rows (token, cell)."""
    return float(np.mean([spatial_entropy(one) for one in _placed(attention, grids)]))


def _placed(attention: Floats, grids: Sequence[Grid]) -> list[list[Floats]]:
    """Rows (token, cell) as images: for each token one on each grid."""
    placed = laid_out(attention, grids, ())
    return [[grid.values[token, 0, 0] for grid in placed] for token in range(len(attention))]
