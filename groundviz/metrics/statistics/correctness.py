"""Are right answers right for the right reason? Correctness beside grounding, and rank correlation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from groundviz.errors import OptionError
from groundviz.metrics.statistics.bootstrap import (
    LEVEL,
    REPEATS,
    Interval,
    Labels,
    draws,
    ends,
    grouped,
)
from groundviz.record.types import Doubles


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectGrounded:
    """Answers and maps, counted together.

    Attributes:
        counts: {(correct, grounded): number of samples}.
        right_for_wrong_reason: The share of correct answers whose map is not grounded.
        grounded_though_wrong: The share of wrong answers whose map is grounded.
        risk_difference: The share of grounded maps among correct answers, less that among wrong ones.
    """

    counts: dict[tuple[bool, bool], int]
    right_for_wrong_reason: Interval
    grounded_though_wrong: Interval
    risk_difference: Interval


def correct_and_grounded(
    correct: npt.ArrayLike,
    grounded: npt.ArrayLike,
    clusters: Labels,
    *,
    repeats: int = REPEATS,
    seed: int = 0,
    level: float = LEVEL,
) -> CorrectGrounded:
    """The table of correct by grounded, its conditional shares, and their difference with cluster intervals.

    Args:
        correct: (sample,) whether the answer is right: 1, 0, or NaN where nobody knows.
        grounded: (sample,) whether the map is, by whatever rule was declared: 1, 0 or NaN. Such pairs are
            left out and counted.
        clusters: (sample,) such as patients; drawn together for all three intervals.
        repeats: As in `cluster_bootstrap`.
        seed: As in `cluster_bootstrap`.
        level: As in `cluster_bootstrap`.

    Raises:
        OptionError: The numbers differ, or hold others than 0 and 1.

    >>> table = correct_and_grounded([1, 1, 1, 0], [1, 1, 0, 0], [1, 2, 3, 4])
    >>> table.counts[True, False], round(table.risk_difference.mean, 3)
    (1, 0.667)
    """
    right, based = np.asarray(correct, dtype=np.float64), np.asarray(grounded, dtype=np.float64)
    both = np.concatenate([right, based])
    if right.shape != based.shape or not np.isin(both[~np.isnan(both)], (0.0, 1.0)).all():
        raise OptionError(
            "Correct and grounded must be as many, and each 1, 0 or NaN. Score answers first, and declare "
            "from which value on a map counts as grounded."
        )
    known, codes, dropped = grouped(np.where(np.isnan(based), np.nan, right), clusters)
    kept = based[~(np.isnan(right) | np.isnan(based))]
    number = int(codes.max(initial=-1)) + 1
    # Four columns for each cluster: correct and grounded, correct, wrong and grounded, wrong.
    columns = np.stack([known * kept, known, (1 - known) * kept, 1 - known], axis=1)
    sums = np.zeros((max(number, 1), 4))
    np.add.at(sums, codes, columns)
    whole = sums.sum(axis=0, keepdims=True)
    drawn = np.concatenate([weights @ sums for weights in draws(len(sums), repeats, seed)])
    intervals = {}
    for name, of_data in _shares(whole).items():
        low, high = ends(_shares(drawn)[name], number, level)
        mean = float(of_data[0])
        intervals[name] = Interval(
            mean=mean, low=low, high=high, n=known.size, clusters=number, dropped=dropped
        )
    return CorrectGrounded(counts=_counts(known, kept), **intervals)


def _shares(table: Doubles) -> dict[str, Doubles]:
    """The intervals of `CorrectGrounded` by name, of counts (draw, column)."""
    of_right, of_wrong = _share(table, 0), _share(table, 2)
    return {
        "right_for_wrong_reason": 1 - of_right,
        "grounded_though_wrong": of_wrong,
        "risk_difference": of_right - of_wrong,
    }


def _share(table: Doubles, column: int) -> Doubles:
    above, below = table[:, column], table[:, column + 1]
    return np.asarray(np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0))


def _counts(right: Doubles, based: Doubles) -> dict[tuple[bool, bool], int]:
    found = {}
    for was_right in (True, False):
        for was_based in (True, False):
            found[was_right, was_based] = int(((right == was_right) & (based == was_based)).sum())
    return found


def spearman(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    clusters: Labels | None = None,
    *,
    repeats: int = REPEATS,
    seed: int = 0,
    level: float = LEVEL,
) -> Interval:
    """The rank correlation of two numbers of the same samples, with an interval by cluster.

    Equal numbers have the mean of their ranks; each draw is ranked anew.

    Args:
        first: (sample,) such as the model's confidence.
        second: (sample,) such as a metric; a pair with a NaN on either side is left out and counted.
        clusters: (sample,) such as patients; each sample is its own when None.
        repeats: As in `cluster_bootstrap`.
        seed: As in `cluster_bootstrap`.
        level: As in `cluster_bootstrap`.

    Returns:
        From -1 to 1; NaN where one of the two does not vary.

    Raises:
        OptionError: The numbers differ in number.

    >>> spearman([1, 2, 3, 4], [1, 4, 9, 16]).mean
    1.0
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.shape != other.shape:
        raise OptionError(
            f"There are {one.size} numbers and {other.size} beside them: give one for each sample."
        )
    if clusters is None:
        clusters = np.arange(one.size)
    one_kept, codes, dropped = grouped(np.where(np.isnan(other), np.nan, one), clusters)
    other_kept = other[~(np.isnan(one) | np.isnan(other))]
    if not one_kept.size:
        return Interval(mean=np.nan, low=np.nan, high=np.nan, n=0, clusters=0, dropped=dropped)
    number = int(codes.max()) + 1
    pair = (_levels(one_kept), _levels(other_kept))
    whole = _rank_correlation(pair, np.ones(one_kept.size))
    drawn = []
    for weights in draws(number, repeats, seed):
        drawn += [_rank_correlation(pair, row[codes]) for row in weights]
    low, high = ends(np.array(drawn), number, level)
    return Interval(mean=whole, low=low, high=high, n=one_kept.size, clusters=number, dropped=dropped)


def _levels(numbers: Doubles) -> npt.NDArray[np.int64]:
    """Which of its distinct values each number has, from the smallest."""
    return np.unique(numbers, return_inverse=True)[1].reshape(-1)


def _rank_correlation(pair: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]], weights: Doubles) -> float:
    """Of samples that count as often as their weights say, as if each were written down so many times."""
    whole = weights.sum()
    centred = []
    for levels in pair:
        held = np.bincount(levels, weights)
        middle = np.cumsum(held) - held / 2
        centred.append(middle[levels] - whole / 2)
    one, other = centred
    spread = float((one**2 @ weights) * (other**2 @ weights))
    if not spread > 0:
        return float("nan")
    # Rounding must not lead beyond the ends.
    return float(np.clip((one * other) @ weights / np.sqrt(spread), -1.0, 1.0))
