"""What the tests and intervals of a report tell, and where the patients are too few to tell anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from groundviz.evaluation.report.results import Results
from groundviz.metrics.statistics import FEWEST_CLUSTERS, holm, sign_flip, smallest_p
from groundviz.record.types import Bools, Doubles
from groundviz.render.report.tables import Cell, Number, p_value

# A p-value below it counts as a difference.
LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Tested:
    """The test of a mean difference, in its family.

    Attributes:
        p: The p-value, corrected over the family; NaN where there is no difference to test.
        least: What it would be if all of the family's differences were as clear as they can be: the smallest
            that so many patients allow.
    """

    p: float
    least: float

    @property
    def too_few(self) -> bool:
        """Whether no data of so many patients could have shown a difference."""
        return self.least >= LEVEL

    def __str__(self) -> str:
        return p_words(self.p)


def family(results: Results, gains: Sequence[Doubles]) -> list[Tested]:
    """Tests of differences, (sample,) each with NaN for none: sign flips by patient, corrected after Holm."""
    raw = [uncorrected(results, gain) for gain in gains]
    least = [smallest_p(patients(results, np.isfinite(gain))) for gain in gains]
    return [Tested(float(p), float(one)) for p, one in zip(holm(raw), holm(least), strict=True)]


def uncorrected(results: Results, gain: Doubles) -> float:
    """The p-value of one mean difference, (sample,) with NaN for none, by flipping the signs of patients."""
    return _flipped(gain.tobytes(), tuple(results.clusters), results.seed)


# Sentences and tables of a report are about the same differences.
@lru_cache(maxsize=256)
def _flipped(gain: bytes, clusters: tuple[str, ...], seed: int) -> float:
    return sign_flip(np.frombuffer(gain), clusters, seed=seed)


def patients(results: Results, inside: Bools) -> int:
    """How many patients some samples, bool (sample,), are of."""
    return len({results.clusters[at] for at in np.flatnonzero(inside).tolist()})


def p_words(p: float) -> str:
    """A p-value in a sentence.

    >>> p_words(0.0312), p_words(0.00001)
    ('p = 0.031', 'p < 0.001')
    """
    text = p_value(p) or "not measured"
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def declared(results: Results, name: str, tests: Iterable[Tested]) -> str:
    """Whether the tests of a table were declared, and how many could have shown nothing, in sentences."""
    known = [one for one in tests if np.isfinite(one.p)]
    few = sum(one.too_few for one in known)
    if not few:
        return results.told_of(name)
    which = "no test" if few == len(known) else f"{few} of {len(known)} tests"
    could = "could give" if few == len(known) else "could not give"
    return (
        f"{results.told_of(name)} With so few patients for so many tests, {which} of this table {could} a p "
        f"below {LEVEL:g}."
    )


def spread(results: Results, rows: Iterable[Sequence[Cell]]) -> str:
    """Which intervals the numbers of a table or a chart have, in a sentence."""
    if any(isinstance(cell, Number) and cell.has_interval for row in rows for cell in row):
        return (
            f"95 % intervals are of a cluster bootstrap by patient, {results.repeats} draws; there is none "
            f"below {FEWEST_CLUSTERS} patients."
        )
    return f"There are no intervals: they take at least {FEWEST_CLUSTERS} patients."
