"""The first thing to read: whether any method is better than a map that never saw the image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from groundviz.evaluation.families import HEADLINE
from groundviz.evaluation.report.inference import LEVEL, Tested, family, spread
from groundviz.evaluation.report.results import Results, name_of, number, title_of
from groundviz.metrics.statistics import Interval
from groundviz.render.report.tables import p_value

NO_PLACES = (
    "No sample of this run has a reference region that could be read: where the model looked was compared "
    "with nothing. What follows is about answers, and about whether they need the image."
)
Kind = Literal["better", "worse", "not shown", "too few"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A method against a map that never saw the image.

    Attributes:
        kind: Whether the method is better or worse, no difference is shown, or the patients are too few.
        gain: By how much it is better on average, with its interval.
        tested: The test of that difference.
    """

    kind: Kind
    gain: Interval
    tested: Tested


def verdicts(results: Results) -> dict[tuple[str, str], Verdict]:
    """By method and prior, without the pairs that were not measured.

    One family: every method against every prior, in the primary metric.
    """
    pairs = results.family(HEADLINE)
    gains = [results.gain(method, prior) for method, prior in pairs]
    found: dict[tuple[str, str], Verdict] = {}
    for (method, prior), gain, tested in zip(pairs, gains, family(results, gains), strict=True):
        if np.isfinite(gain).any():
            mean = results.interval(gain)
            found[method, prior] = Verdict(_kind(mean.mean, tested), mean, tested)
    return found


def _kind(mean: float, tested: Tested) -> Kind:
    if tested.too_few:
        return "too few"
    if tested.p >= LEVEL:
        return "not shown"
    return "better" if mean > 0 else "worse"


def falls_short(results: Results) -> bool:
    """Whether a method is not shown to be better than a map that never saw the image."""
    return results.localised and any(one.kind != "better" for one in verdicts(results).values())


def headline(results: Results) -> list[str]:
    """A sentence or two about each method, and one about what was tested."""
    if not results.localised:
        return [NO_PLACES]
    found = verdicts(results)
    sentences = [_told(results, method, found) for method in results.methods]
    return [*sentences, _tests(results, found)] if found else sentences


def _told(results: Results, method: str, found: dict[tuple[str, str], Verdict]) -> str:
    name = name_of(method)
    against = {prior: found[method, prior] for prior in results.priors if (method, prior) in found}
    if not against:
        return f"{name} was compared with no map that never saw the image."
    kinds = {one.kind for one in against.values()}
    title, counted = title_of(results.primary), _counted(against.values())
    differences = ", ".join(_difference(prior, one) for prior, one in against.items())
    if kinds == {"too few"}:
        least = p_value(min(one.tested.least for one in against.values()))
        told = (
            f"There are too few patients to tell whether {name} is better than a map that never saw the "
            f"image: with {counted}, no corrected p below {least} is possible. Mean differences of the "
            f"{title}: {differences}"
        )
    elif kinds == {"better"}:
        told = (
            f"{name} is better than every map here that never saw the image, by the {title} on {counted}. "
            f"Mean differences: {differences}{_elsewhere(results, method)}"
        )
    else:
        compared = "; ".join(_compared(prior, one) for prior, one in against.items())
        told = (
            f"{name} is not shown to be better than every map here that never saw the image, by the {title} "
            f"on {counted}: {compared}"
        )
    missing = [f"; not measured beside the {name_of(one)}" for one in results.priors if one not in against]
    return f"{told}{''.join(missing)}."


def _counted(against: Iterable[Verdict]) -> str:
    samples, patients = max((one.gain.n, one.gain.clusters) for one in against)
    return f"{samples} sample{'s' * (samples > 1)} of {patients} patient{'s' * (patients > 1)}"


def _difference(prior: str, one: Verdict) -> str:
    p = "" if one.kind == "too few" else f" ({one.tested})"
    return f"{number(one.gain)} to the {name_of(prior)}{p}"


def _compared(prior: str, one: Verdict) -> str:
    there = f"the {name_of(prior)}"
    words = {
        "better": f"it is better than {there}",
        "worse": f"{there} beats it",
        "not shown": f"no difference from {there} is shown",
        "too few": f"there are too few patients to tell it from {there}",
    }
    p = "" if one.kind == "too few" else f", {one.tested}"
    return f"{words[one.kind]} (difference {number(one.gain)}{p})"


def _elsewhere(results: Results, method: str) -> str:
    """In which other metrics of the table a map that never saw the image is level or ahead, by the means."""
    ahead: list[str] = []
    for prior in results.priors:
        metrics = []
        for metric in results.headline:
            gain = results.gain(method, prior, metric)
            if metric != results.primary and np.isfinite(gain).any() and np.nanmean(gain) <= 0:
                metrics.append(title_of(metric))
        if metrics:
            *others, last = metrics
            names = f"{', '.join(others)} and {last}" if others else last
            ahead.append(f"by the means, the {name_of(prior)} is level or ahead in {names}")
    return "".join(f"; {one}" for one in ahead)


def _tests(results: Results, found: dict[tuple[str, str], Verdict]) -> str:
    gains = [number(one.gain) for one in found.values()]
    return (
        f"Tested is the mean difference of the {title_of(results.primary)} on the same samples (above 0 is "
        f"better), over all findings together, by flipping the signs of whole patients, two-sided; p is "
        f"corrected after Holm over {len(found)} comparisons, and shows a difference below {LEVEL:g}. "
        f"{results.told_of(HEADLINE)} {spread(results, [gains])}"
    )
