"""Does the answer need this very image? Its probability on other patients' images."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from groundviz.evidence.needs_image import HALF
from groundviz.evidence.toolkit.check import CHECKS, Case, outcome
from groundviz.evidence.toolkit.remeasuring import drop
from groundviz.record.evidence import NO, OTHER_IMAGES, YES
from groundviz.record.types import Check


@CHECKS.register(
    OTHER_IMAGES,
    asks="Does the answer lose its probability on other images?",
    unit="nats",
    cost="one forward for each other image, of which at least 3",
    source="image reliance, arXiv 2606.17710; half of the probability (ln 2) is a convention",
    known_failure=(
        "Another image may show the same: an answer that half of the others share keeps its probability. "
        "Give images on which the answer should be another one."
    ),
    when="cohort",
)
def other_images(case: Case) -> Iterator[Check]:
    """f(image) - f(other image), f the log-probability of the answer; the median over the others counts."""
    readings = case.cohort.readings(case.live, case.answer)
    drops = [drop(case.answer, one.answer) for one in readings]
    lost = sum(one >= HALF for one in drops)
    says = f"On {lost} of {len(drops)} other images the answer keeps at most half of its probability."
    median = float(np.median(drops))
    numbers = {f"other image {number}": one for number, one in enumerate(drops, start=1)}
    verdict = YES if median >= HALF else NO
    yield outcome(OTHER_IMAGES, verdict, says, value=median, reference=HALF, numbers=numbers)
