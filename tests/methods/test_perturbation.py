"""What all perturbation methods have in common: targets, batches, and an end before the end."""

import numpy as np
import pytest
import torch

from groundviz.explain import explain
from groundviz.methods.toolkit import sampling
from groundviz.record.types import Samples
from groundviz.runtime.live import Live
from groundviz.runtime.passes import batches
from tests.methods.linear import ANSWER, QUESTION

METHODS = {
    "occlusion": {"window": 14, "stride": 7},
    "shapley": {"cells": 9, "samples": 6},
    "rise": {"masks": 20, "cells": 3},
    "token_ablation": {"block": 1},
}
each_method = pytest.mark.parametrize("name", METHODS)
DONE = {
    "occlusion": "windows_done",
    "shapley": "passes_done",
    "rise": "masks_done",
    "token_ablation": "blocks_done",
}


# Batches of three before an interruption: shares of nine places need more images than a mean does.
AFTER = {"shapley": 12}


def maps_of(vlm, source_image, name, **options):
    explanation = explain(
        vlm, source_image, QUESTION, methods={name: METHODS[name]}, answer=ANSWER, **options
    )
    return explanation, explanation.record.heatmaps[0]


@each_method
def test_every_token_has_a_map_and_a_phrase_is_the_sum_of_its_tokens(tiny, source_image, name):
    explanation, maps = maps_of(tiny, source_image, name)
    # What draws at random measures the whole answer, too: its error is no sum of its tokens' errors.
    drawn = name in ("rise", "shapley")
    assert maps.values.shape[:3] == (len(explanation.answer.tokens) + drawn, 1, 1)
    assert (explanation.heatmap(name).standard_error is not None) == drawn
    assert explanation.heatmap(name, "lung nodule").standard_error is None
    assert maps.signed
    phrase = explanation.heatmap(name, "lung nodule").values
    np.testing.assert_allclose(phrase, maps.values[1, 0, 0] + maps.values[2, 0, 0], atol=1e-5)
    assert np.ptp(phrase[np.isfinite(phrase)]) > 0


@each_method
def test_a_contrast_is_the_difference_of_two_answers(tiny, source_image, name):
    explanation, _ = maps_of(tiny, source_image, name, target=["effusion", "nodule"], against="device")
    found = explanation.heatmap(name, "effusion rather than device").values
    other = explain(
        tiny, source_image, QUESTION, methods={name: METHODS[name]}, answer="left lung nodule and device"
    )
    expected = explanation.heatmap(name, 4).values - other.heatmap(name, 4).values
    np.testing.assert_allclose(found, expected, atol=2e-4)


@each_method
def test_the_size_of_batches_does_not_matter(tiny, source_image, monkeypatch, name):
    _, usual = maps_of(tiny, source_image, name)

    def small(self, count, run, *, label, enough=None):
        return batches.in_batches(count, run, label=label, most=3)

    monkeypatch.setattr(Live, "in_batches", small)
    _, found = maps_of(tiny, source_image, name)
    np.testing.assert_allclose(found.values, usual.values, atol=2e-5)


@each_method
def test_ctrl_c_keeps_what_was_computed(tiny, source_image, monkeypatch, name):
    _, whole = maps_of(tiny, source_image, name)
    scores, batches_seen = Live.scores, []

    def interrupted(self, targets, site=None, values=None):
        if site is not None and values is not None and len(values) > 1:
            batches_seen.append(len(values))
            if len(batches_seen) > AFTER.get(name, 4):
                raise KeyboardInterrupt
        return scores(self, targets, site, values)

    def small(self, count, run, *, label, enough=None):
        done = batches.in_batches(count, run, label=label, most=3)
        self.interrupted = len(done) < count
        return done

    monkeypatch.setattr(Live, "scores", interrupted)
    monkeypatch.setattr(Live, "in_batches", small)
    done = 3 * AFTER.get(name, 4)
    with pytest.warns(RuntimeWarning, match=f"interrupted: the result rests on {done} of"):
        explanation, found = maps_of(tiny, source_image, name)
    assert found.params[DONE[name]] == done
    assert whole.params[DONE[name]] > done
    assert whole.samples.complete
    assert found.samples == Samples(done=done, asked=whole.samples.asked)
    assert explanation.heatmap(name).samples == found.samples
    known = found.grid.valid
    assert np.isfinite(found.values[..., known]).all()
    assert np.isnan(found.values[..., ~known]).all()
    if name in ("occlusion", "token_ablation"):
        assert known.sum() == 12
        np.testing.assert_allclose(found.values[..., known], whole.values[..., known], atol=1e-5)


def test_shapley_interrupted_before_its_shares_are_determined_has_nothing_to_show(
    tiny, source_image, monkeypatch
):
    scores, seen = Live.scores, []

    def interrupted(self, targets, site=None, values=None):
        seen.append(values)
        # The filled image and the whole one come first.
        if len(seen) > 3:
            raise KeyboardInterrupt
        return scores(self, targets, site, values)

    def small(self, count, run, *, label, enough=None):
        return batches.in_batches(count, run, label=label, most=3)

    monkeypatch.setattr(Live, "scores", interrupted)
    monkeypatch.setattr(Live, "in_batches", small)
    with pytest.warns(RuntimeWarning, match="3 of"), pytest.raises(KeyboardInterrupt):
        maps_of(tiny, source_image, "shapley")


@each_method
def test_the_answers_graph_is_never_built(tiny, source_image, monkeypatch, name):
    scores, graphs = Live.scores, []

    def watched(self, targets, site=None, values=None, **options):
        found = scores(self, targets, site, values, **options)
        graphs.append(found.requires_grad)
        return found

    monkeypatch.setattr(Live, "scores", watched)
    maps_of(tiny, source_image, name)
    assert graphs
    assert not any(graphs)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("name", ["occlusion", "shapley", "rise"])
def test_ctrl_c_at_the_second_image_keeps_the_first(tiny, source_image, monkeypatch, name):
    """The maps of the first image are whole; the second was not measured, and the record says so."""
    scores, images, seen = Live.scores, [], []
    canvases = sampling.canvases

    def counted(live):
        for canvas in canvases(live):
            images.append(canvas.grid.image)
            yield canvas

    def interrupted(self, targets, site=None, values=None):
        if images and images[-1] == 1:
            seen.append(1)
            raise KeyboardInterrupt
        return scores(self, targets, site, values)

    monkeypatch.setattr(sampling, "canvases", counted)
    monkeypatch.setattr(Live, "scores", interrupted)
    explanation = explain(
        tiny,
        [source_image, source_image],
        QUESTION,
        methods={name: METHODS[name], "attention": {}},
        answer=ANSWER,
    )
    assert seen == [1]
    (found,) = explanation.record.heatmaps
    assert found.grid.image == 0 and found.samples.complete
    assert explanation.record.unmeasured == (f"{name} on image 2 of 2", "attention")
