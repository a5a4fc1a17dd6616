"""Integrated gradients: complete, equal to captum's, and honest about what is missing."""

import warnings

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients

import groundviz
from groundviz.demo.phantoms import with_finding
from groundviz.demo.questions import ask
from groundviz.errors import UnknownName, UnsupportedMethod
from groundviz.methods import integrated_gradients as module
from groundviz.methods.toolkit.baselines import baseline
from groundviz.methods.toolkit.quadrature import scattered
from groundviz.metrics import score
from groundviz.record.types import Samples, SourceImage
from groundviz.runtime import borrow
from scripts.demo_exact_match import fresh_phantoms
from tests.methods.autograd import AGAINST, ANSWER, QUESTION, Plain, close, explained
from tests.methods.planes import as_image

PLACES = ("pixels", "vision", "projector", "language.0")


@pytest.mark.parametrize("at", PLACES)
@pytest.mark.parametrize("against", AGAINST)
def test_cells_add_up_to_what_the_image_changes_but_for_the_gap_that_is_told(tiny, source_image, at, against):
    explanation, maps = explained(tiny, source_image, "integrated_gradients", at=at, against=against)
    params = explanation.heatmap().params
    (change,), (gap,), (relative,) = params["change"], params["gap"], params["relative_gap"]
    assert maps[0].sum() == pytest.approx(change + gap, abs=1e-4)
    assert relative == pytest.approx(abs(gap / change), rel=1e-4)
    assert relative < 0.05
    if at in ("pixels", "projector"):
        plain = Plain(tiny, explanation.record)
        with borrow(tiny) as live:
            live.encode(source_image, QUESTION)
            blurred = as_image(baseline(live, "blur"))
        assert change == pytest.approx(float(plain.score() - plain.score(blurred)), abs=1e-4)


@pytest.mark.parametrize(("at", "kind"), list(zip(PLACES, ("mean", "black", "blur", "mean"), strict=True)))
def test_it_equals_captum(tiny, source_image, monkeypatch, at, kind):
    monkeypatch.setattr(module, "MOST_STEPS", 8)
    options = {"at": at, "baseline": kind, "steps": 8}
    explanation, maps = explained(
        tiny, source_image, "integrated_gradients", target=["nodule", ANSWER], **options
    )
    with borrow(tiny) as live:
        live.answer(live.encode(source_image, QUESTION), given=ANSWER)
        site, targets = live.site(at), explanation.record.targets
        (start,) = live.read_each(site, pixels=baseline(live, kind))
        captum = IntegratedGradients(lambda values: live.scores(targets, site, values))
        for target in (0, 1):
            parts = captum.attribute(live.read(site).detach(), start.detach(), target=target, n_steps=8)[0]
            close(maps[target, 0], parts.sum(-1).float())


def test_steps_are_doubled_until_the_gap_is_small(tiny, source_image):
    explanation, _ = explained(tiny, source_image, "integrated_gradients", steps=1, baseline="black")
    params = explanation.heatmap().params
    assert set(params["steps_needed"]) <= {2, 4, 8, 16, 32, 64, 128}
    assert params["relative_gap"][0] < 0.05


def test_a_gap_that_cannot_be_closed_is_told(tiny, source_image, monkeypatch):
    monkeypatch.setattr(module, "MOST_STEPS", 2)
    explanation, maps = explained(
        tiny, source_image, "integrated_gradients", steps=1, baseline="black", at="pixels"
    )
    params = explanation.heatmap().params
    assert params["steps_needed"] == (2,)
    assert params["relative_gap"][0] > 0.05
    assert maps[0].sum() == pytest.approx(params["change"][0] + params["gap"][0], abs=1e-4)


def test_a_image_that_is_its_own_baseline_adds_nothing(tiny):
    grey = SourceImage(
        pixels=np.full((40, 40), 0.4, np.float32), source="array", raw_range=(0, 1), sha256="0" * 64
    )
    with pytest.warns(RuntimeWarning, match="integrated_gradients found no evidence"):
        explanation, maps = explained(tiny, grey, "integrated_gradients")
    assert np.abs(maps).max() < 1e-5
    assert explanation.heatmap().params["steps_needed"] == (16,)


def test_an_interrupted_integral_spans_the_whole_way_and_says_how_far_it_is_off(
    tiny, source_image, monkeypatch
):
    whole, complete = explained(tiny, source_image, "integrated_gradients", steps=32)
    gradients_of, calls = module.gradients_of, []

    def interrupted(*given):
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return gradients_of(*given)

    monkeypatch.setattr(module, "gradients_of", interrupted)
    with pytest.warns(RuntimeWarning, match="16 of 32 steps"):
        part, maps = explained(tiny, source_image, "integrated_gradients", steps=32)
    # Half of the nodes, scattered over the whole way, already tell where things are.
    assert np.corrcoef(maps.flatten(), complete.flatten())[0, 1] > 0.9
    found, expected = part.heatmap().params, whole.heatmap().params
    assert found["change"] == expected["change"]
    assert abs(found["gap"][0]) > abs(expected["gap"][0])
    assert part.heatmap().samples == Samples(done=16, asked=32)
    assert whole.heatmap().samples.complete


@pytest.mark.parametrize("batch", [1, 2])
def test_an_interrupted_doubling_keeps_the_whole_integral_before_it(tiny, source_image, monkeypatch, batch):
    """Whether the finer one had begun (at its second batch) or had not: it was lost before, maps and all."""
    monkeypatch.setattr(module, "CLOSE_ENOUGH", 0.0)
    with monkeypatch.context() as first:
        first.setattr(module, "MOST_STEPS", 16)
        _, expected = explained(tiny, source_image, "integrated_gradients", steps=16)
    gradients_of, calls = module.gradients_of, []

    def interrupted(*given):
        calls.append(given)
        if len(calls) == 1 + batch:
            raise KeyboardInterrupt
        return gradients_of(*given)

    monkeypatch.setattr(module, "gradients_of", interrupted)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*interrupted", RuntimeWarning)
        part, maps = explained(tiny, source_image, "integrated_gradients", steps=16)
    np.testing.assert_array_equal(maps, expected)
    assert part.heatmap().samples == Samples(done=16, asked=32)
    assert part.heatmap().params["steps_needed"] == (16,)


@pytest.mark.parametrize(
    ("options", "error", "why"),
    [
        ({"baseline": "white"}, UnknownName, "'white': there are blur, mean, black"),
        ({"steps": 0}, UnsupportedMethod, "steps=0"),
        ({"at": "language.1"}, UnsupportedMethod, "exactly zero"),
    ],
)
def test_what_cannot_be_done_is_refused(tiny, source_image, options, error, why):
    with pytest.raises(error, match=why):
        explained(tiny, source_image, "integrated_gradients", **options)


@pytest.mark.parametrize("steps", [1, 2, 7, 16])
def test_nodes_and_weights_are_gauss_and_legendres(steps):
    nodes, weights = scattered(steps)
    for power in range(2 * steps):
        found = float((weights.double() * nodes.double() ** power).sum())
        assert found == pytest.approx(1 / (power + 1), abs=1e-6)
    assert steps < 7 or float(nodes[: steps // 2].max() - nodes[: steps // 2].min()) > 0.5
    assert weights.dtype == torch.float32


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_it_points_at_nodules():
    """Sixty phantoms nothing was tuned on: `pytest -m slow tests/methods/test_integrated_gradients.py`."""
    vlm, hits = groundviz.load("demo"), []
    for seed in fresh_phantoms(77, 60):
        image = with_finding(seed, "nodule")
        question = ask(image, "where", "nodule")
        told = groundviz.explain(vlm, image.pixels, question.text, methods="integrated_gradients")
        if told.answer.text == question.answer:
            heatmap = told.heatmap()
            hits.append(score(heatmap, image.mask("nodule"), metrics=["hit_cell"])["hit_cell"])
    assert len(hits) > 50
    assert np.mean(hits) >= 0.85
