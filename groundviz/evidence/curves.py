"""Deletion and insertion: the image covered in the order of a map, cell by cell, and shown in that order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from groundviz.evidence.toolkit import covering
from groundviz.evidence.toolkit.check import finite
from groundviz.evidence.toolkit.covering import Lattice, Places
from groundviz.methods.toolkit.baselines import baseline
from groundviz.methods.toolkit.regions import mixed
from groundviz.record.types import Bools, Doubles, Ints, Target
from groundviz.runtime import Live


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """What becomes of the log-probability of a target, in nats, in even steps over the cells of the image.

    Attributes:
        deletion: float64 (step + 1,), with the first cells of the order covered: none at first, all at last.
        insertion: float64 (step + 1,), with these alone shown: none at first, all at last.
    """

    deletion: Doubles
    insertion: Doubles


def curves(
    live: Live, target: Target, parts: Sequence[Lattice], orders: Sequence[Ints], *, cover: str, steps: int
) -> list[Curve]:
    """The curves of some orders of the cells, all of one target on one image.

    Args:
        live: A borrowed model that has read the prompt and the answer.
        target: What is scored.
        parts: The cells, from `covering.lattices`.
        orders: Each the numbers of all cells, lattice after lattice, the first one first.
        cover: What covered cells show, see `groundviz.methods.toolkit.baselines.baseline`.
        steps: How many even steps the cells are divided into.

    Raises:
        NumericalError: A score is not finite.
        UnknownName: There is no such cover.
        KeyboardInterrupt: Ctrl-C; half of the curves are of no use.

    Cost: 2 forward passes, and 2 (steps - 1) for each order, in batches.

    Source: Petsiuk et al., arXiv 1806.07421; the score is the log-probability of the answer.
    """
    count = sum(part.values.size for part in parts)
    taken = [round(step * count / steps) for step in range(steps + 1)]
    places: list[Places] = [_covered(parts, np.arange(count), 0), _covered(parts, np.arange(count), count)]
    for order in orders:
        inner = taken[1:-1]
        places += [_covered(parts, order, number) for number in inner]
        # What is shown first is covered last.
        places += [_covered(parts, order[::-1], count - number) for number in inner]
    pixels = live.site("pixels")
    image, blank = live.read(pixels), baseline(live, cover)
    covered = covering.coverer(parts, places)

    def run(part: slice) -> Tensor:
        return live.scores([target], pixels, mixed(image, blank, covered(part)))

    with torch.no_grad():
        scores = finite(live.in_batches(len(places), run, label=f"covering with {cover}"))
    if len(scores) < len(places):
        raise KeyboardInterrupt
    whole, none = scores[:1], scores[1:2]
    found = []
    for gone, kept in scores[2:].reshape(len(orders), 2, steps - 1):
        found.append(Curve(np.concatenate([whole, gone, none]), np.concatenate([none, kept, whole])))
    return found


def from_the_centre(parts: Sequence[Lattice], rng: np.random.Generator) -> Ints:
    """All cells by their distance to the image's centre, in shares of its sides; equal ones at random."""
    away = []
    for part in parts:
        rows, cols = part.values.shape
        down, right = np.mgrid[:rows, :cols]
        away.append(np.hypot((down + 0.5) / rows - 0.5, (right + 0.5) / cols - 0.5).reshape(-1))
    flat = np.round(np.concatenate(away), 9)
    return np.lexsort((rng.random(len(flat)), flat))


def at_random(parts: Sequence[Lattice], rng: np.random.Generator) -> Ints:
    """All cells in a random order."""
    return rng.permutation(sum(part.values.size for part in parts))


def _covered(parts: Sequence[Lattice], order: Ints, count: int) -> Places:
    chosen: Bools = np.zeros(len(order), dtype=bool)
    chosen[order[:count]] = True
    return covering.placed(parts, chosen)
