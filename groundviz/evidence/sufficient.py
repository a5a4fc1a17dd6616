"""Does the place that a map marks suffice for the answer? Everything else is covered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from groundviz.evidence.toolkit import covering
from groundviz.evidence.toolkit.check import CHECKS, Case, finite, of_each_map, outcome, scored
from groundviz.evidence.toolkit.permutation import LEVEL, is_rare, p_value, partial
from groundviz.methods.toolkit.baselines import baseline
from groundviz.methods.toolkit.regions import mixed
from groundviz.record.evidence import GIVEN
from groundviz.record.types import Check, Heatmap, Samples

KEPT = 0.20


@CHECKS.register(
    "sufficient",
    asks="Does the place that the map marks, alone, keep the answer better than others do?",
    unit="p",
    cost="copies + 1 forwards for each method, in batches",
    source="insertion, arXiv 1806.07421, against the map itself moved elsewhere: a permutation test",
    known_failure=(
        "Four fifths of the image are covered, which no model has seen before; an answer that compares "
        "places needs more than one."
    ),
    when="request",
)
def sufficient(case: Case) -> Iterator[Check]:
    """The log-probability with the strongest fifth of the cells alone, against those of moved copies.

    Formula: p = (1 + copies with at least the score) / (copies + 1); the rest of the image is blurred.
    """
    return of_each_map(case, "sufficient", _of_map, given=True)


def _of_map(case: Case, method: str, heatmaps: Sequence[Heatmap]) -> Check:
    live, target = case.live, scored(case)
    parts = case.lattices(method, heatmaps)
    cells = sum(part.values.size for part in parts)
    own = covering.strongest(parts, max(1, round(KEPT * cells)))
    places = covering.copies_of(parts, [own], case.copies, case.random())
    pixels = live.site("pixels")
    image, covered = live.read(pixels), covering.coverer(parts, places)
    blank = baseline(live, "blur")

    def run(part: slice) -> Tensor:
        return live.scores([target], pixels, mixed(blank, image, covered(part)))

    with torch.no_grad():
        label = f"keeping what {method.removeprefix(GIVEN).replace('_', ' ')} marks"
        found = finite(live.in_batches(len(places), run, label=label))
    alone, others = float(found[0]), found[1:]
    p = p_value(alone, others)
    samples = Samples(done=len(others), asked=case.copies)
    says = (
        f"The strongest {KEPT:.0%} of the cells alone keep the answer better than "
        f"{int(np.sum(others < alone))} of {len(others)} moved copies of them do."
    )
    return outcome(
        "sufficient",
        "shown" if is_rare(p) else "not shown",
        says + partial(samples),
        value=p,
        reference=LEVEL,
        numbers={"log-probability, alone": alone, "copies": float(len(others))},
        method=method,
        samples=samples,
    )
