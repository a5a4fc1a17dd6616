"""Which method readers prefer: Bradley-Terry strengths with intervals that know of readers and cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.float64]

# So much of a win for either side of every pair that was compared: strengths stay finite where one always
# wins.
_PRIOR_WINS = 0.5
_STEPS, _SMALL = 500, 1e-10


@dataclass(frozen=True, slots=True, kw_only=True)
class Strength:
    """How strong an arm is.

    Attributes:
        arm: Its name or code.
        strength: Natural logarithm of its odds against an arm of mean strength.
        low: Lower end of the 95 % interval.
        high: Upper end.
    """

    arm: str
    strength: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One judgement of two maps.

    Attributes:
        rater: Who judged.
        case: What was judged.
        left: The arm on the left.
        right: The arm on the right.
        points: 1 where the left one was preferred, 0 where the right one was, 0.5 for neither.
    """

    rater: str
    case: str
    left: str
    right: str
    points: float


def bradley_terry(wins: Counts) -> Counts:
    """Log-strengths of arms, float64 (arm,), that add up to zero.

    Args:
        wins: (arm, arm), how often the arm of the row was preferred to that of the column; a tie is half a
            win for either.

    Source:
        Bradley and Terry, "Rank Analysis of Incomplete Block Designs", 1952; the iteration of Hunter, "MM
        Algorithms for Generalized Bradley-Terry Models", 2004. Half a win is added to either side of each
        pair that was compared.

    >>> bradley_terry(np.array([[0.0, 7.5], [2.5, 0.0]])).round(3).tolist()
    [0.49, -0.49]
    """
    met = (wins + wins.T) > 0
    padded = wins + _PRIOR_WINS * met
    games = padded + padded.T
    strength = np.ones(len(wins))
    for _ in range(_STEPS):
        joint = strength[:, None] + strength[None, :]
        updated = padded.sum(axis=1) / np.maximum((games / joint).sum(axis=1), _SMALL)
        # An arm that was never compared keeps the mean.
        updated = np.where(games.sum(axis=1) > 0, updated, 1.0)
        updated = updated / np.exp(np.log(updated).mean())
        if np.abs(np.log(updated / strength)).max() < _SMALL:
            break
        strength = updated
    return np.asarray(np.log(strength))


def strengths(comparisons: Sequence[Comparison], *, repeats: int = 1000, seed: int = 0) -> list[Strength]:
    """The strength of each arm, the strongest first, with a two-way cluster bootstrap by reader and case.

    Readers and cases are drawn anew, each with replacement, and independently of each other: the interval
    holds for other readers of the same kind on other cases of the same kind. With fewer than two readers or
    cases it has no meaning, and is NaN.

    Args:
        comparisons: What was judged.
        repeats: How often to draw.
        seed: Of the draws.

    Source:
        Pigeonhole bootstrap: Owen, "The pigeonhole bootstrap", 2007.
    """
    arms = sorted({one.left for one in comparisons} | {one.right for one in comparisons})
    raters = sorted({one.rater for one in comparisons})
    cases = sorted({one.case for one in comparisons})
    # (rater, case, arm, arm) would be large and mostly empty: one row for each judgement.
    rows = np.array([raters.index(one.rater) for one in comparisons])
    cols = np.array([cases.index(one.case) for one in comparisons])
    left = np.array([arms.index(one.left) for one in comparisons])
    right = np.array([arms.index(one.right) for one in comparisons])
    points = np.array([one.points for one in comparisons])

    def fitted(weights: Counts) -> Counts:
        wins = np.zeros((len(arms), len(arms)))
        np.add.at(wins, (left, right), weights * points)
        np.add.at(wins, (right, left), weights * (1.0 - points))
        return bradley_terry(wins)

    found = fitted(np.ones(len(points)))
    low = high = np.full(len(arms), np.nan)
    if len(raters) > 1 and len(cases) > 1:
        rng = np.random.default_rng(seed)
        drawn = np.empty((repeats, len(arms)))
        for at in range(repeats):
            of_raters = rng.multinomial(len(raters), np.full(len(raters), 1.0 / len(raters)))
            of_cases = rng.multinomial(len(cases), np.full(len(cases), 1.0 / len(cases)))
            drawn[at] = fitted((of_raters[rows] * of_cases[cols]).astype(np.float64))
        low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    order = np.argsort(-found)
    return [
        Strength(arm=arms[at], strength=float(found[at]), low=float(low[at]), high=float(high[at]))
        for at in order
    ]


def power(
    *,
    readers: int,
    cases: int,
    preference: float,
    reader_sd: float = 0.3,
    case_sd: float = 0.8,
    studies: int = 200,
    repeats: int = 200,
    seed: int = 0,
) -> float:
    """How often a fully crossed comparison of two methods would tell them apart, by simulation.

    Args:
        readers: How many readers.
        cases: How many cases each of them reads.
        preference: How often a mean reader prefers the better method on a mean case, 0.5 to 1.
        reader_sd: Standard deviation of the log-odds between readers.
        case_sd: Standard deviation of the log-odds between cases.
        studies: How many studies to simulate.
        repeats: Draws of the bootstrap in each.
        seed: Of everything random.

    Returns:
        The share of studies whose 95 % interval of the difference leaves out zero.
    """
    rng = np.random.default_rng(seed)
    logit = np.log(preference / (1.0 - preference))
    found = 0
    for _ in range(studies):
        odds = (
            logit + reader_sd * rng.standard_normal((readers, 1)) + case_sd * rng.standard_normal((1, cases))
        )
        preferred = (rng.random((readers, cases)) < 1.0 / (1.0 + np.exp(-odds))).astype(np.float64)
        of_readers = rng.multinomial(readers, np.full(readers, 1.0 / readers), size=repeats)
        of_cases = rng.multinomial(cases, np.full(cases, 1.0 / cases), size=repeats)
        means = np.einsum("br,rc,bc->b", of_readers, preferred, of_cases) / (readers * cases)
        low, high = np.quantile(means, [0.025, 0.975])
        found += bool(low > 0.5 or high < 0.5)
    return found / studies
