"""Localisation heads: the few attention heads that look at one place of the image."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
from skimage.measure import label

from groundviz.methods.method import METHODS, each_token, laid_out, refuse_contrasts
from groundviz.runtime import Live
from groundviz.types import Answer, Bools, Doubles, Floats, Grid, Heatmaps, Ints, Prompt, Target


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


@METHODS.register("localization_heads")
def localization_heads(
    live: Live, prompt: Prompt, answer: Answer, targets: tuple[Target, ...], *, heads: int = 3
) -> list[Heatmaps]:
    """Where its localisation heads looked: the heads that attend to the image, and to one place of it.

    Formula: the mean of A[layer, head, p - 1, j] over a few heads and the target tokens. Heads
    qualify when their attention to the image, summed over cells and averaged over the answer's
    words, is above the elbow of its sorted values (the value farthest below the chord from the
    lowest to the highest). Of these, the `heads` with the lowest spatial entropy are taken: cells
    above twice the map's mean are joined to regions, touching corners included, and the entropy
    in nats is that of the regions' shares of the excess, averaged over the answer's words; among
    equals the one that looks at the image more. `params` says which heads were `chosen`: layer,
    head, mass and entropy, in the order of the maps' head axis; fewer where fewer qualify.
    Unit: share of attention. Cost: no pass beyond the answer's own.
    Targets: every token; no contrasts.
    Source: Kang et al., "Your Large Vision-Language Model Only Needs A Few Attention Heads For
    Visual Grounding", CVPR 2025. They choose by how often a head qualifies over 1,000
    images and then smooth the maps; here each answer chooses its own heads, and maps stay raw.
    Known failure: a head that stares at a sink has the lowest entropy of all, and an answer about
    nothing in the image gets heads all the same. On the demo model three heads point at 95 % of
    nodules, the first of them alone at 68 %, where the mean over all heads points at all.
    """
    refuse_contrasts("localization_heads", targets)
    attention = live.attention()
    spoken = attention[list(answer.spoken)] if answer.spoken else attention
    mass = spoken.sum(axis=-1).mean(axis=0, dtype=np.float64)
    above = mass > elbow(mass)
    passing = np.argwhere(above if above.any() else ~above)
    found = [
        Head(int(layer), int(head), mass[layer, head], _entropy(spoken[:, layer, head], prompt.grids))
        for layer, head in passing
    ]
    chosen = sorted(found, key=lambda one: (one.entropy, -one.mass))[:heads]
    return laid_out(
        np.stack([attention[:, one.layer, one.head] for one in chosen], axis=1)[:, None],
        prompt.grids,
        each_token(answer),
        unit="share of attention",
        reduce=("mean", "mean", "mean"),
        params={"chosen": tuple(one.described for one in chosen)},
    )


def elbow(values: Doubles) -> float:
    """The value at which a sorted curve bends most: farthest below the chord between its ends.

    >>> elbow(np.array([0.3, 0.01, 0.02, 0.03, 0.31, 0.0]))
    0.03
    """
    curve = np.sort(values, axis=None)
    chord = np.linspace(curve[0], curve[-1], curve.size)
    return float(curve[np.argmax(chord - curve)])


def spatial_entropy(maps: list[Floats]) -> float:
    """How scattered attention is, in nats: 0 for one region, infinite where nothing stands out.

    Args:
        maps: Attention of one head on each grid, NaN where a cell has no token.

    >>> round(spatial_entropy([np.array([[9.0, 0, 0, 0, 0, 0, 0, 0, 9.0]])]), 4)  # two equal regions
    0.6931
    """
    mean = np.concatenate([one[np.isfinite(one)] for one in maps]).mean(dtype=np.float64)
    excess = [np.nan_to_num(one - 2 * mean).clip(min=0) for one in maps]
    regions = [np.bincount(_regions(one > 0).flat, one.flat)[1:] for one in excess]
    sums = np.concatenate(regions)
    shares = sums / sums.sum() if sums.size else sums
    return float(-(shares * np.log(shares)).sum()) if sums.size else np.inf


def _regions(mask: Bools) -> Ints:
    """The number of the region each cell belongs to, 0 for none; cells that touch at a corner are one."""
    numbers: Ints = label(mask, connectivity=2)  # type: ignore[no-untyped-call]
    return numbers


def _entropy(attention: Floats, grids: tuple[Grid, ...]) -> float:
    """The mean spatial entropy of one head's rows (token, cell)."""
    placed = laid_out(attention, grids, (), unit="share of attention")
    found = [spatial_entropy([grid.values[t, 0, 0] for grid in placed]) for t in range(len(attention))]
    return float(np.mean(found))
