"""The same number in parts of the data: by finding, by size, by whatever labels each sample."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from groundviz.errors import OptionError
from groundviz.metrics.statistics.bootstrap import LEVEL, REPEATS, Interval, Labels, cluster_bootstrap

TERCILES = ("small", "medium", "large")


def stratify(
    values: npt.ArrayLike,
    strata: Labels,
    clusters: Labels,
    *,
    repeats: int = REPEATS,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[object, Interval]:
    """The mean of each stratum with its interval, in the order in which strata appear.

    Args:
        values: (value,); NaN are left out and counted.
        strata: (value,) a label of any kind; None is a stratum, too.
        clusters: (value,) such as patients.
        repeats: As in `cluster_bootstrap`.
        seed: As in `cluster_bootstrap`.
        level: As in `cluster_bootstrap`.

    Raises:
        OptionError: As for `cluster_bootstrap`.

    >>> parts = stratify([1, 0, 1], ["nodule", "effusion", "nodule"], [1, 2, 3])
    >>> [(name, part.mean, part.n) for name, part in parts.items()]
    [('nodule', 1.0, 2), ('effusion', 0.0, 1)]
    """
    numbers = np.asarray(values, dtype=np.float64)
    if not numbers.size == len(strata) == len(clusters):
        raise OptionError(
            f"There are {numbers.size} values, {len(strata)} strata and {len(clusters)} clusters: give one "
            "of each for each value."
        )
    members: dict[object, list[int]] = {}
    for index, label in enumerate(strata):
        members.setdefault(label, []).append(index)
    found = {}
    for label, indices in members.items():
        beside = [clusters[index] for index in indices]
        found[label] = cluster_bootstrap(numbers[indices], beside, repeats=repeats, seed=seed, level=level)
    return found


def terciles(sizes: npt.ArrayLike) -> list[str | None]:
    """Which third each size falls into: "small", "medium" or "large"; None for NaN.

    Equal sizes fall into one third, so that thirds may differ in number.

    Args:
        sizes: (value,) such as the share of the image that a reference covers.

    >>> terciles([1.0, 2.0, 3.0])
    ['small', 'medium', 'large']
    """
    numbers = np.asarray(sizes, dtype=np.float64)
    known = numbers[~np.isnan(numbers)]
    if not known.size:
        return [None] * numbers.size
    edges = np.quantile(known, [1 / 3, 2 / 3])
    names: list[str | None] = []
    for number in numbers:
        third = None
        if not np.isnan(number):
            third = TERCILES[int((number > edges).sum())]
        names.append(third)
    return names
