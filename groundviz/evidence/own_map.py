"""Is the map this image's own, or the one that the model makes of every image?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from groundviz.evidence.toolkit.check import CHECKS, MEASURED, Case, of_each_map, outcome
from groundviz.evidence.toolkit.similarity import flat, spearman
from groundviz.record.evidence import NOT_MEASURED
from groundviz.record.types import Check, Doubles, Heatmap


@CHECKS.register(
    "own_map",
    asks="How far is the map from the mean map of other images?",
    unit="1 - rank correlation",
    cost="one forward, and the method's own cost, for each other image",
    source="a position prior: arXiv 2503.03321 on attention sinks",
    known_failure="Findings that are always in one place have maps that are rightly alike.",
    when="cohort",
)
def own_map(case: Case) -> Iterator[Check]:
    """1 - correlation with the mean map of the same words on other images.

    The reference is the median of what each of the others is from the mean of the rest.
    """
    return of_each_map(case, "own_map", _of_map)


def _of_map(case: Case, method: str, heatmaps: Sequence[Heatmap]) -> Check:
    found = case.cohort.maps(case.live, case.answer, case.target, heatmaps[0])
    own, others = flat(heatmaps), [flat(maps) for maps in found]
    others = [other for other in others if other.shape == own.shape]
    apart = _apart(own, others)
    if apart is None or len(others) < 2:
        says = "The model sees the other images in other cells, or their maps have no ranks."
        return outcome("own_map", NOT_MEASURED, says, method=method)
    each = [_apart(other, others[:at] + others[at + 1 :]) for at, other in enumerate(others)]
    known = [one for one in each if one is not None]
    usual = float(np.median(known)) if known else None
    says = (
        f"The map is {apart:.2f} from the mean map of {len(others)} other images (1 - rank correlation); "
        "theirs are as far from each other's mean as the reference says."
    )
    return outcome("own_map", MEASURED, says, value=apart, reference=usual, method=method)


def _apart(own: Doubles, others: Sequence[Doubles]) -> float | None:
    if not others:
        return None
    alike = spearman(own, np.mean(others, axis=0))
    return None if alike is None else 1 - alike
