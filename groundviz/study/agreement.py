"""How far readers agree with each other and with themselves."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations

import numpy as np

from groundviz.record.types import Doubles

Box = tuple[float, float, float, float]


def krippendorff_alpha(ratings: Sequence[Sequence[float | None]], *, level: str = "ordinal") -> float:
    """Krippendorff's alpha, for any number of raters and missing ratings.

    Args:
        ratings: (rater, unit); None where a rater did not rate a unit.
        level: "nominal", "ordinal" or "interval".

    Returns:
        1 is full agreement, 0 what chance would give; NaN where there is nothing to compare.

    Source:
        Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011.

    >>> round(krippendorff_alpha([[1, 2, 3], [1, 2, 4]]), 3)
    0.949
    """
    values = np.array([[np.nan if one is None else one for one in row] for row in ratings], dtype=np.float64)
    levels = np.unique(values[np.isfinite(values)])
    together = np.zeros((len(levels), len(levels)))
    for unit in values.T:
        counts = (unit[:, None] == levels).sum(axis=0).astype(np.float64)
        total = counts.sum()
        if total > 1:
            together += (np.outer(counts, counts) - np.diag(counts)) / (total - 1)
    marginal = together.sum(axis=1)
    total = marginal.sum()
    distance = _distances(levels, marginal, level)
    expected = (np.outer(marginal, marginal) * distance).sum()
    if total < 2:
        return float("nan")
    # All readers gave one and the same value: nothing varies, and nothing can agree by more than chance.
    if expected == 0:
        return float("nan")
    return float(1.0 - (total - 1.0) * (together * distance).sum() / expected)


def _distances(levels: Doubles, marginal: Doubles, level: str) -> Doubles:
    """Squared distances of the values, as Krippendorff defines them."""
    if level == "nominal":
        return 1.0 - np.eye(len(levels))
    if level == "interval":
        return np.asarray((levels[:, None] - levels[None, :]) ** 2)
    # How many ratings lie between two ranks, each end counted by half.
    middle = np.cumsum(marginal) - marginal / 2.0
    return np.asarray((middle[:, None] - middle[None, :]) ** 2)


def kappa(first: Sequence[Hashable], second: Sequence[Hashable], *, ranks: Sequence[float] = ()) -> float:
    """Cohen's kappa of two series of judgements of the same things.

    Args:
        first: One judgement of each.
        second: The other.
        ranks: The possible judgements in their order, for weights that grow with the square of the distance;
            empty where judgements have no order.

    Returns:
        1 is full agreement, 0 what chance would give; NaN where nothing varies or there is none.

    Source:
        Cohen, "A Coefficient of Agreement for Nominal Scales", 1960; "Weighted Kappa", 1968.

    >>> kappa(["A", "B", "A", "tie"], ["A", "B", "B", "tie"])
    0.6363636363636364
    """
    kinds: list[Hashable] = list(ranks) or sorted({*first, *second}, key=str)
    if not first or len(kinds) < 2:
        return float("nan")
    table = np.zeros((len(kinds), len(kinds)))
    for one, other in zip(first, second, strict=True):
        table[kinds.index(one), kinds.index(other)] += 1.0
    weights = 1.0 - np.eye(len(kinds))
    if ranks:
        places = np.asarray(ranks, dtype=np.float64)
        weights = (places[:, None] - places[None, :]) ** 2
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    by_chance = (weights * expected).sum()
    if by_chance == 0:
        return float("nan")
    return float(1.0 - (weights * table).sum() / by_chance)


def iou(one: Box, other: Box) -> float:
    """Shared area over joint area of two boxes (left, top, right, bottom).

    >>> iou((0, 0, 2, 2), (1, 0, 3, 2))
    0.3333333333333333
    """
    across = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    down = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    shared = across * down
    joint = sum(areas) - shared
    return shared / joint if joint > 0 else 0.0


def reader_ious(marks: Mapping[str, Mapping[str, Box | None]]) -> list[tuple[str, float]]:
    """For every case and every two readers who looked for its finding, how well their boxes agree.

    Args:
        marks: By reader and case; None where the reader saw nothing.

    Returns:
        (case, IoU): 0 where only one of the two saw something; pairs who both saw nothing are left out.
    """
    found: list[tuple[str, float]] = []
    for first, second in combinations(marks.values(), 2):
        for case in sorted(first.keys() & second.keys()):
            one, other = first[case], second[case]
            if one is not None and other is not None:
                found.append((case, iou(one, other)))
            elif one is not other:
                found.append((case, 0.0))
    return found
