"""Is one method better than another? A test by flipped signs, and Holm's correction of several."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from groundviz.errors import OptionError
from groundviz.metrics.statistics.bootstrap import Labels, grouped
from groundviz.record.types import Doubles

# Up to so many clusters all ways to flip them are tried.
_EXACT = 16
# Flips are drawn in blocks, so that many clusters need little memory.
_BLOCK = 2_000_000


def sign_flip(differences: npt.ArrayLike, clusters: Labels, *, repeats: int = 9999, seed: int = 0) -> float:
    """The two-sided p-value of a mean difference, by flipping the sign of whole clusters.

    If two methods are alike, the differences of a patient might as well have the other sign. The value is the
    share of flips whose mean is at least as far from zero; all flips are tried for up to 16 clusters, and
    `repeats` of them otherwise, the data as they are among them.

    Args:
        differences: (value,) of two methods on the same sample; NaN are left out.
        clusters: (value,) such as patients.
        repeats: How many flips are drawn.
        seed: Of the draws.

    Returns:
        From above 0 to 1; NaN where there is no difference to test.

    Raises:
        OptionError: Values and clusters differ in number, or there are no repeats.

    >>> sign_flip([1, 1, 1, 1], [1, 2, 3, 4])
    0.125
    """
    if repeats < 1:
        raise OptionError(f"repeats={repeats} must be at least 1. Give another number.")
    numbers, codes, _ = grouped(differences, clusters)
    if not numbers.size:
        return float("nan")
    sums = np.bincount(codes, numbers)
    # Sums in another order differ in their last digits.
    least = abs(sums.sum()) * (1 - 1e-9)
    if sums.size <= _EXACT:
        flips = 1.0 - 2.0 * ((np.arange(2**sums.size)[:, None] >> np.arange(sums.size)) & 1)
        return float((np.abs(flips @ sums) >= least).mean())
    beyond = sum(int((np.abs(flips @ sums) >= least).sum()) for flips in _drawn(sums.size, repeats, seed))
    return (1 + beyond) / (1 + repeats)


def smallest_p(clusters: int, *, repeats: int = 9999) -> float:
    """The smallest p-value that `sign_flip` can give over so many clusters, however far apart methods are.

    Of all flips, at least the data as they are and their mirror image are as far from zero. Where it exceeds
    the level of a test, no data could have shown a difference: a large p-value says nothing then.

    Args:
        clusters: How many there are, such as patients.
        repeats: As in `sign_flip`.

    Returns:
        From above 0 to 1; NaN without a cluster.

    >>> smallest_p(1), smallest_p(5), smallest_p(6)
    (1.0, 0.0625, 0.03125)
    """
    if clusters < 1:
        return float("nan")
    return float(2.0 ** (1 - clusters)) if clusters <= _EXACT else 1 / (1 + repeats)


def _drawn(clusters: int, repeats: int, seed: int) -> Iterator[Doubles]:
    stream = np.random.default_rng(seed)
    rows = max(1, _BLOCK // clusters)
    for start in range(0, repeats, rows):
        here = min(rows, repeats - start)
        yield 1.0 - 2.0 * stream.integers(2, size=(here, clusters)).astype(np.float64)


def holm(p_values: npt.ArrayLike) -> Doubles:
    """P-values that stay comparable with one level although several tests were made.

    Step down: the smallest is multiplied by how many there are, the next by one less, and so on; none falls
    below an earlier one, or exceeds 1. NaN stay NaN, and do not count as tests.

    Source: Holm, "A simple sequentially rejective multiple test procedure", 1979.

    Args:
        p_values: (test,) of one family, which should be declared before anything is scored.

    Raises:
        OptionError: One of them is no probability.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    given = np.asarray(p_values, dtype=np.float64)
    known = ~np.isnan(given)
    if ((given[known] < 0) | (given[known] > 1)).any():
        raise OptionError("P-values must lie from 0 to 1. Found others.")
    adjusted = np.full(given.shape, np.nan)
    tests = given[known]
    order = np.argsort(tests, kind="stable")
    stepped = tests[order] * (tests.size - np.arange(tests.size))
    rising = np.minimum(np.maximum.accumulate(stepped), 1.0)
    corrected = np.empty_like(rising)
    corrected[order] = rising
    adjusted[known] = corrected
    return adjusted
