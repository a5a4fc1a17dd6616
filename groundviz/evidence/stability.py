"""Does the map stay where it is when the image hardly changes?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from groundviz.evidence.needs_image import HALF
from groundviz.evidence.toolkit.check import CHECKS, MEASURED, Case, of_each_map, outcome
from groundviz.evidence.toolkit.remeasuring import Reading, again, drop, reading
from groundviz.evidence.toolkit.similarity import rank_correlation
from groundviz.record.evidence import NOT_MEASURED
from groundviz.record.types import Check, Floats, Heatmap, Samples

# By how much the image is changed: nobody would take it for another one.
NOISE = 0.01
GAMMAS = (0.9, 1.1)
CELL_SHARE = 0.25

Changes = Mapping[str, Callable[[Floats], Floats]]


@CHECKS.register(
    "stability",
    asks="Do the cells keep their ranks when the image hardly changes?",
    unit="rank correlation",
    cost="one forward, and the method's own cost, for each of 4 changed images",
    source="input invariance, arXiv 1711.00867; sensitivity, arXiv 1901.09392",
    known_failure=(
        "A map that does not depend on the image at all is perfectly stable: compare with how alike the maps "
        "of other images are."
    ),
    when="request",
)
def stability(case: Case) -> Iterator[Check]:
    """The median of Spearman's correlations with the maps of four changed images on which the answer stays.

    It stays where it keeps more than half of its probability. The image is moved by a quarter of a cell,
    gets noise of 1 % of its range, and a gamma of .9 and 1.1.
    """
    readings: dict[str, Reading] = {}

    def of_map(case: Case, method: str, heatmaps: Sequence[Heatmap]) -> Check:
        return _of_map(case, method, heatmaps, readings)

    return of_each_map(case, "stability", of_map)


def _of_map(case: Case, method: str, heatmaps: Sequence[Heatmap], readings: dict[str, Reading]) -> Check:
    changes = _changes(case, heatmaps[0])
    found: dict[str, float | None] = {}
    for name, change in changes.items():
        try:
            case.live.progress.at(f"measuring {method.replace('_', ' ')} again", len(found), len(changes))
            if name not in readings:
                readings[name] = _answering(case, change)
            found[name] = _correlation(case, readings[name], heatmaps)
        except KeyboardInterrupt:
            if not found:
                raise
            case.live.interrupted = True
            break
    samples = Samples(done=len(found), asked=len(changes))
    numbers = {name: alike for name, alike in found.items() if alike is not None}
    if not numbers:
        says = f"On each of {len(found)} changed images the answer is another one, or the map has no ranks."
        return outcome("stability", NOT_MEASURED, says, method=method, samples=samples)
    median = float(np.median(list(numbers.values())))
    says = (
        f"Where the image hardly changes, the cells' ranks correlate by {median:.2f} with those of the map "
        f"(median of {len(numbers)} changes of {len(found)}: those that leave the answer as it is)."
    )
    return outcome("stability", MEASURED, says, value=median, numbers=numbers, method=method, samples=samples)


def _changes(case: Case, heatmap: Heatmap) -> Changes:
    steps = np.abs(np.diag(heatmap.grid.to_source[:, :2])) * CELL_SHARE
    down, right = (max(1, round(float(step))) for step in steps)
    rng = case.random()

    def noisy(pixels: Floats) -> Floats:
        return np.clip(pixels + rng.normal(0, NOISE, pixels.shape), 0, 1).astype(np.float32)

    def shifted(pixels: Floats) -> Floats:
        rows, cols = pixels.shape[:2]
        row = np.maximum(np.arange(rows) - down, 0)
        col = np.maximum(np.arange(cols) - right, 0)
        return np.asarray(pixels[np.ix_(row, col)])

    changes: dict[str, Callable[[Floats], Floats]] = {"moved": shifted, "noise": noisy}
    for gamma in GAMMAS:
        # Bound now, not when it is called.
        changes[f"gamma {gamma:g}"] = lambda pixels, gamma=gamma: pixels**gamma  # type: ignore[misc]
    return changes


def _answering(case: Case, change: Callable[[Floats], Floats]) -> Reading:
    """The model on the changed images, after it has read the answer that it gave on the true ones."""
    live = case.live
    changed = [replace(image, pixels=change(image.pixels)) for image in live.source_images]
    return reading(live.ask(images=changed), case.answer)


def _correlation(case: Case, other: Reading, heatmaps: Sequence[Heatmap]) -> float | None:
    """None where the answer does not stay on the changed image."""
    if drop(case.answer, other.answer) >= HALF:
        return None
    return rank_correlation(heatmaps, again(other, case.target, heatmaps[0]))
