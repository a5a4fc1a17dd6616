"""Do maps of the demo model point at the lesion, more often than a guess that never saw the image?

A map hits when the cell of its highest value has at least a tenth of its area in the true mask.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from groundviz.demo.architecture import CELLS, build_model, cell_shares
from groundviz.demo.findings import FINDINGS
from groundviz.demo.phantoms import Phantom, phantom, with_finding
from groundviz.demo.questions import Question, ask
from groundviz.explain import explain
from groundviz.explanation import Explanation
from groundviz.metrics import METRICS, Cells, place
from groundviz.models import VLM, resolve
from groundviz.record.types import Bools, Floats
from scripts.demo_exact_match import mean

PRIOR_PHANTOMS = 240
# The convention of the demo model's card.
HIT = METRICS["hit_cell"]
BASELINES = ("random_weights", "centre", "random", "prior_type_answer")
Rates = dict[str, Any]


def pointing(
    vlm: VLM, seeds: Iterable[int], methods: tuple[str, ...]
) -> tuple[dict[str, Rates], dict[str, Rates]]:
    """Hit rates per finding: of maps of right answers, and of maps of wrong ones.

    Args:
        vlm: The demo model.
        seeds: One phantom per seed and finding; the finding is put in if it is not there.
        methods: Names of methods.

    Returns:
        For each finding {method: hit rate, "random_weights", "centre", "random",
        "prior_type_answer", "n"}; and the same for wrong answers, without the baselines. Rates are
        None where there was no such answer.
    """
    seeds = list(seeds)
    untrained = resolve(build_model(seed=1).eval(), vlm.processor)
    right, wrong = {}, {}
    for finding in tqdm(FINDINGS, desc="pointing", unit="finding", delay=2):
        prior = _prior_maps(finding)
        hits: dict[str, list[float]] = defaultdict(list)
        misled: dict[str, list[float]] = defaultdict(list)
        for seed in seeds:
            image = with_finding(seed, finding)
            question = ask(image, "presence" if finding == "cardiomegaly" else "where", finding)
            correct, found = _method_hits(vlm, image, question, methods)
            _extend(hits if correct else misled, found)
            if correct:
                _extend(hits, _baseline_hits(untrained, image, question, methods, prior))
        right[finding] = _rates(hits, (*methods, *BASELINES))
        wrong[finding] = _rates(misled, methods)
    return right, wrong


def each_method(
    vlm: VLM, seeds: Iterable[int], methods: Iterable[str], *, finding: str = "nodule"
) -> dict[str, Rates]:
    """What every method makes of one finding, over the phantoms whose answer was right.

    Nodules are small and may be anywhere, so an image-blind guess seldom hits them.

    Returns:
        For each method {"hit", "random_weights": the same on an untrained model, "seconds" per
        image}, and for each baseline {"hit"}; each with "n".
    """
    untrained = resolve(build_model(seed=1).eval(), vlm.processor)
    prior = _prior_maps(finding)
    images = [with_finding(seed, finding) for seed in seeds]
    asked = [(image, ask(image, "where", finding)) for image in images]
    right = [(p, q) for p, q in asked if vlm.generate(p.pixels, q.text) == q.answer]
    rows: dict[str, Rates] = {}
    for method in tqdm(list(methods), desc=f"{finding}, method by method", unit="method", delay=2):
        started = time.perf_counter()
        hits = [_one_hit(vlm, image, question, method) for image, question in right]
        seconds = (time.perf_counter() - started) / max(1, len(right))
        blind = [_one_hit(untrained, image, question, method) for image, question in right]
        rows[method] = {"hit": mean(hits), "random_weights": mean(blind), "seconds": seconds, "n": len(hits)}
    guesses = [_guesses(image, question, prior) for image, question in right]
    for name in ("prior_type_answer", "centre", "random"):
        rows[name] = {"hit": mean([guess[name] for guess in guesses]), "n": len(guesses)}
    return rows


def _one_hit(vlm: VLM, image: Phantom, question: Question, method: str) -> float:
    explanation = explain(
        vlm, image.pixels, question.text, methods=method, answer=question.answer, evidence=None
    )
    return _lands(explanation, method, image.mask(question.finding))


def _lands(explanation: Explanation, method: str, truth: Bools) -> float:
    """Whether one method's map of the whole answer hits the true mask."""
    heatmap = explanation.heatmap(method)
    return HIT.on(place(heatmap, truth))


def _method_hits(
    vlm: VLM, image: Phantom, question: Question, methods: tuple[str, ...]
) -> tuple[bool, Rates]:
    explanation = explain(vlm, image.pixels, question.text, methods=methods, evidence=None)
    truth = image.mask(question.finding)
    found = {method: _lands(explanation, method, truth) for method in methods}
    return explanation.answer.text == question.answer, found


def _baseline_hits(
    untrained: VLM,
    image: Phantom,
    question: Question,
    methods: tuple[str, ...],
    prior: Mapping[str, Floats],
) -> Rates:
    told = explain(
        untrained, image.pixels, question.text, methods=methods, answer=question.answer, evidence=None
    )
    truth = image.mask(question.finding)
    # The method that does best without having learned anything.
    blind = max(_lands(told, method, truth) for method in methods)
    return {"random_weights": blind, **_guesses(image, question, prior)}


def _guesses(image: Phantom, question: Question, prior: Mapping[str, Floats]) -> dict[str, float]:
    """Hits of guesses that know the answer but have not seen the image."""
    coverage = cell_shares(image.mask(question.finding))
    centre = np.zeros_like(coverage)
    centre[CELLS // 2, CELLS // 2] = 1.0
    return {
        "centre": HIT(centre, coverage),
        "random": HIT.chance(Cells.of(centre, coverage)),
        "prior_type_answer": HIT(prior[question.answer], coverage),
    }


@cache
def _prior_maps(finding: str) -> Mapping[str, Floats]:
    """The mean mask for each answer: the best guess of someone who knows the answer but sees nothing."""
    summed: dict[str, list[Floats]] = defaultdict(list)
    for seed in range(PRIOR_PHANTOMS):
        image = phantom(seed, findings=[finding])
        answer = image.findings[0].location or "yes"
        summed[answer].append(cell_shares(image.mask(finding)))
    means = {answer: np.mean(masks, axis=0).astype(np.float32) for answer, masks in summed.items()}
    return MappingProxyType(means)


def _extend(lists: dict[str, list[float]], values: dict[str, float]) -> None:
    for name, value in values.items():
        lists[name].append(value)


def _rates(lists: dict[str, list[float]], names: tuple[str, ...]) -> Rates:
    return {**{name: mean(lists[name]) for name in names}, "n": len(lists[names[0]])}
