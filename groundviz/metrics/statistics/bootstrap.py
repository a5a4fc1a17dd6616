"""Means with intervals, from clusters drawn again: patients, or images where no patient is known."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from groundviz.errors import OptionError
from groundviz.record.types import Doubles, Ints

REPEATS = 2000
LEVEL = 0.95
# Of fewer clusters an interval says nothing: its ends are NaN.
FEWEST_CLUSTERS = 10
# Draws are made in blocks, so that many clusters need little memory.
_BLOCK = 2_000_000

Labels = Sequence[Hashable] | npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A number with its interval.

    Attributes:
        mean: The number of the data as they are.
        low: The lower end of the interval; NaN for fewer than `FEWEST_CLUSTERS` clusters.
        high: The upper end.
        n: How many values it rests on.
        clusters: How many clusters these lie in.
        dropped: How many values were NaN and are left out.
    """

    mean: float
    low: float
    high: float
    n: int
    clusters: int
    dropped: int = 0

    def __str__(self) -> str:
        if np.isnan(self.low):
            return f"{self.mean:.3f}"
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def cluster_bootstrap(
    values: npt.ArrayLike,
    clusters: Labels,
    *,
    repeats: int = REPEATS,
    seed: int = 0,
    level: float = LEVEL,
) -> Interval:
    """The mean of some values, with a percentile interval from whole clusters drawn with replacement.

    Each draw takes as many clusters as there are, and weighs a value by how often its cluster was drawn, so
    it is the exact bootstrap at the cost of two products of matrices. All values of a cluster count: larger
    clusters weigh more, in the mean as in its draws.

    Args:
        values: (value,); NaN are left out and counted.
        clusters: (value,) what each value belongs to.
        repeats: How many draws.
        seed: Of the draws; the same seed, data and repeats give the same interval.
        level: Share of draws inside the interval.

    Raises:
        OptionError: Values and clusters differ in number, or an option is out of range.

    >>> interval = cluster_bootstrap(np.arange(40) % 2, np.arange(40) // 2)
    >>> interval.mean, interval.low, interval.high, interval.clusters
    (0.5, 0.5, 0.5, 20)
    """
    numbers, codes, dropped = grouped(values, clusters)
    _check(repeats, level)
    if not numbers.size:
        return Interval(mean=np.nan, low=np.nan, high=np.nan, n=0, clusters=0, dropped=dropped)
    sums, counts = np.bincount(codes, numbers), np.bincount(codes).astype(np.float64)
    drawn = np.concatenate([(w @ sums) / (w @ counts) for w in draws(sums.size, repeats, seed)])
    return _interval(float(numbers.mean()), drawn, numbers.size, sums.size, dropped=dropped, level=level)


def micro(
    values: npt.ArrayLike, clusters: Labels, *, repeats: int = REPEATS, seed: int = 0, level: float = LEVEL
) -> Interval:
    """The mean over all values, whatever their class: `cluster_bootstrap` by its other name."""
    return cluster_bootstrap(values, clusters, repeats=repeats, seed=seed, level=level)


def macro(
    values: npt.ArrayLike,
    classes: Labels,
    clusters: Labels,
    *,
    repeats: int = REPEATS,
    seed: int = 0,
    level: float = LEVEL,
) -> Interval:
    """The mean of the means of each class, with a percentile interval from whole clusters drawn again.

    A class that a draw leaves without a value is left out of that draw.

    Args:
        values: (value,); NaN are left out and counted.
        classes: (value,) such as findings.
        clusters: (value,) such as patients.
        repeats: As in `cluster_bootstrap`.
        seed: As in `cluster_bootstrap`.
        level: As in `cluster_bootstrap`.

    Raises:
        OptionError: As for `cluster_bootstrap`.

    >>> macro([1, 1, 1, 0], ["nodule", "nodule", "nodule", "effusion"], [1, 2, 3, 4]).mean
    0.5
    """
    numbers, codes, dropped = grouped(values, clusters)
    _check(repeats, level)
    kinds = coded(classes)
    if kinds.size != np.size(values):
        raise OptionError(
            f"There are {np.size(values)} values and {kinds.size} classes: give one for each value."
        )
    kinds = kinds[~np.isnan(np.asarray(values, dtype=np.float64))]
    if not numbers.size:
        return Interval(mean=np.nan, low=np.nan, high=np.nan, n=0, clusters=0, dropped=dropped)
    several = (int(codes.max()) + 1, int(kinds.max()) + 1)
    sums, counts = np.zeros(several), np.zeros(several)
    np.add.at(sums, (codes, kinds), numbers)
    np.add.at(counts, (codes, kinds), 1.0)
    whole = _mean_of_means(np.ones((1, several[0])), sums, counts)
    drawn = np.concatenate([_mean_of_means(w, sums, counts) for w in draws(several[0], repeats, seed)])
    return _interval(float(whole[0]), drawn, numbers.size, several[0], dropped=dropped, level=level)


def _mean_of_means(weights: Doubles, sums: Doubles, counts: Doubles) -> Doubles:
    total, number = weights @ sums, weights @ counts
    present = number > 0
    means = np.divide(total, number, out=np.zeros_like(total), where=present)
    return np.asarray(means.sum(axis=1) / np.maximum(present.sum(axis=1), 1))


def ratio(
    values: npt.ArrayLike,
    beside: npt.ArrayLike,
    clusters: Labels,
    *,
    repeats: int = REPEATS,
    seed: int = 0,
    level: float = LEVEL,
) -> Interval:
    """The mean of some values as a share of the mean of others on the same samples, with an interval.

    Such as a metric of maps beside the same metric of a second reader, drawn together.

    Args:
        values: (value,)
        beside: (value,); a pair with a NaN on either side is left out and counted.
        clusters: (value,) such as patients.
        repeats: As in `cluster_bootstrap`.
        seed: As in `cluster_bootstrap`.
        level: As in `cluster_bootstrap`.

    Raises:
        OptionError: As for `cluster_bootstrap`.
    """
    above, below = np.asarray(values, dtype=np.float64), np.asarray(beside, dtype=np.float64)
    if above.shape != below.shape:
        raise OptionError(f"There are {above.size} values and {below.size} beside them: give one for each.")
    both = np.where(np.isnan(below), np.nan, above)
    numbers, codes, dropped = grouped(both, clusters)
    _check(repeats, level)
    if not numbers.size:
        return Interval(mean=np.nan, low=np.nan, high=np.nan, n=0, clusters=0, dropped=dropped)
    others = below[~np.isnan(both)]
    tops, bottoms = np.bincount(codes, numbers), np.bincount(codes, others)
    drawn = [_quotient(w @ tops, w @ bottoms) for w in draws(tops.size, repeats, seed)]
    whole = _quotient(numbers.sum(keepdims=True), others.sum(keepdims=True))
    return _interval(
        float(whole[0]), np.concatenate(drawn), numbers.size, tops.size, dropped=dropped, level=level
    )


def _quotient(above: Doubles, below: Doubles) -> Doubles:
    return np.asarray(np.divide(above, below, out=np.full(above.shape, np.nan), where=below != 0))


def report_bootstrap(
    count: int,
    statistic: Callable[[Ints], float],
    *,
    repeats: int = 500,
    seed: int = 0,
    level: float = LEVEL,
) -> tuple[float, float, float]:
    """The median and the interval of a number over reports drawn again one by one, as LLaVA-Rad prints it.

    It ignores that reports of one patient are alike: give `cluster_bootstrap` beside it.

    Args:
        count: How many reports there are.
        statistic: The number of the reports at some indices, (count,) drawn with replacement.
        repeats: How many draws.
        seed: Of the draws.
        level: Share of draws inside the interval.

    Returns:
        Median, lower and upper end.

    Raises:
        OptionError: There is no report, or an option is out of range.
    """
    _check(repeats, level)
    if count < 1:
        raise OptionError("There is no report to draw from. Give at least one.")
    stream = np.random.default_rng(seed)
    drawn = np.array([statistic(stream.integers(count, size=count)) for _ in range(repeats)])
    low, high = np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(np.nanmedian(drawn)), float(low), float(high)


def draws(clusters: int, repeats: int, seed: int) -> Iterator[Doubles]:
    """How often each cluster is drawn, float64 (draw, cluster), in blocks of draws."""
    stream = np.random.default_rng(seed)
    rows = max(1, _BLOCK // clusters)
    for start in range(0, repeats, rows):
        here = min(rows, repeats - start)
        taken = stream.integers(clusters, size=(here, clusters))
        taken += clusters * np.arange(here)[:, None]
        counts = np.bincount(taken.ravel(), minlength=here * clusters)
        yield counts.reshape(here, clusters).astype(np.float64)


def grouped(values: npt.ArrayLike, clusters: Labels) -> tuple[Doubles, Ints, int]:
    """The values that are numbers, which cluster each lies in, from 0, and how many were NaN.

    Raises:
        OptionError: Values and clusters differ in number, or a value is infinite.
    """
    numbers, codes = np.asarray(values, dtype=np.float64), coded(clusters)
    if numbers.ndim != 1 or numbers.size != codes.size:
        raise OptionError(
            f"There are values of shape {numbers.shape} and {codes.size} clusters: "
            "give one cluster for each value."
        )
    if np.isinf(numbers).any():
        raise OptionError("A value is infinite, and no mean can be made with it. Leave it out, or give NaN.")
    known = ~np.isnan(numbers)
    # Numbered anew, since a cluster may have had no number at all.
    return numbers[known], coded(codes[known]), int((~known).sum())


def coded(labels: Labels) -> Ints:
    """Labels of any kind, numbered from 0 in the order in which they appear."""
    numbers: dict[Hashable, int] = {}
    plain = labels.tolist() if isinstance(labels, np.ndarray) else labels
    return np.array([numbers.setdefault(label, len(numbers)) for label in plain], dtype=np.int64)


def ends(drawn: Doubles, clusters: int, level: float) -> tuple[float, float]:
    """The ends of a percentile interval; NaN for too few clusters, or where no draw has a number."""
    if clusters < FEWEST_CLUSTERS or np.isnan(drawn).all():
        return float("nan"), float("nan")
    low, high = np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _interval(mean: float, drawn: Doubles, n: int, clusters: int, *, dropped: int, level: float) -> Interval:
    low, high = ends(drawn, clusters, level)
    return Interval(mean=mean, low=low, high=high, n=n, clusters=clusters, dropped=dropped)


def _check(repeats: int, level: float) -> None:
    if repeats < 1 or not 0 < level < 1:
        raise OptionError(
            f"repeats={repeats} must be at least 1, and level={level} must lie between 0 and 1. Give others."
        )
