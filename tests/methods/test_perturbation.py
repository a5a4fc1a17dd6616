"""What all perturbation methods have in common: targets, batches, and an end before the end."""

import numpy as np
import pytest
import torch

from groundviz.explain import explain
from groundviz.runtime import batches
from groundviz.runtime.live import Live
from tests.methods.linear import QUESTION, SAID

METHODS = {
    "occlusion": {"window": 14, "stride": 7},
    "shapley": {"cells": 9, "samples": 3},
    "rise": {"masks": 20, "cells": 3},
    "token_ablation": {"block": 1},
}
each_method = pytest.mark.parametrize("name", METHODS)
DONE = {
    "occlusion": "windows_done",
    "shapley": "orders_done",
    "rise": "masks_done",
    "token_ablation": "blocks_done",
}


def maps_of(vlm, study, name, **options):
    explanation = explain(vlm, study, QUESTION, methods={name: METHODS[name]}, answer=SAID, **options)
    return explanation, explanation.record.heatmaps[0]


@each_method
def test_every_token_has_a_map_and_a_phrase_is_the_sum_of_its_tokens(tiny, study, name):
    explanation, maps = maps_of(tiny, study, name)
    assert maps.values.shape[:3] == (len(explanation.answer.tokens), 1, 1)
    assert maps.signed
    phrase = explanation.heatmap(name, "lung nodule").values
    np.testing.assert_allclose(phrase, maps.values[1, 0, 0] + maps.values[2, 0, 0], atol=1e-5)
    assert np.ptp(phrase[np.isfinite(phrase)]) > 0


@each_method
def test_a_contrast_is_the_difference_of_two_answers(tiny, study, name):
    explanation, _ = maps_of(tiny, study, name, target=["effusion", "nodule"], against="device")
    found = explanation.heatmap(name, "effusion rather than device").values
    other = explain(
        tiny, study, QUESTION, methods={name: METHODS[name]}, answer="left lung nodule and device"
    )
    expected = explanation.heatmap(name, 4).values - other.heatmap(name, 4).values
    np.testing.assert_allclose(found, expected, atol=2e-4)


@each_method
def test_the_size_of_batches_does_not_matter(tiny, study, monkeypatch, name):
    _, usual = maps_of(tiny, study, name)

    def small(self, count, run, *, label):
        return batches.in_batches(count, run, label=label, most=3)

    monkeypatch.setattr(Live, "in_batches", small)
    _, found = maps_of(tiny, study, name)
    np.testing.assert_allclose(found.values, usual.values, atol=2e-5)


@each_method
def test_ctrl_c_keeps_what_was_computed(tiny, study, monkeypatch, name):
    _, whole = maps_of(tiny, study, name)
    scores, batches_seen = Live.scores, []

    def interrupted(self, targets, site=None, values=None):
        if site is not None and values is not None and len(values) > 1:
            batches_seen.append(len(values))
            if len(batches_seen) > 4:
                raise KeyboardInterrupt
        return scores(self, targets, site, values)

    def small(self, count, run, *, label):
        done = batches.in_batches(count, run, label=label, most=3)
        self.interrupted = len(done) < count
        return done

    monkeypatch.setattr(Live, "scores", interrupted)
    monkeypatch.setattr(Live, "in_batches", small)
    with pytest.warns(RuntimeWarning, match="interrupted: its maps rest on 12 of"):
        _, found = maps_of(tiny, study, name)
    assert found.params[DONE[name]] == (1 if name == "shapley" else 12)
    assert whole.params[DONE[name]] > found.params[DONE[name]]
    known = found.grid.valid
    assert np.isfinite(found.values[..., known]).all()
    assert np.isnan(found.values[..., ~known]).all()
    if name in ("occlusion", "token_ablation"):
        assert known.sum() == 12
        np.testing.assert_allclose(found.values[..., known], whole.values[..., known], atol=1e-5)


def test_shapley_interrupted_in_its_first_order_has_nothing_to_show(tiny, study, monkeypatch):
    scores, seen = Live.scores, []

    def interrupted(self, targets, site=None, values=None):
        seen.append(values)
        if len(seen) > 2:
            raise KeyboardInterrupt
        return scores(self, targets, site, values)

    def small(self, count, run, *, label):
        return batches.in_batches(count, run, label=label, most=3)

    monkeypatch.setattr(Live, "scores", interrupted)
    monkeypatch.setattr(Live, "in_batches", small)
    with pytest.warns(RuntimeWarning, match="3 of"), pytest.raises(KeyboardInterrupt):
        maps_of(tiny, study, "shapley")


@each_method
def test_the_answers_graph_is_never_built(tiny, study, monkeypatch, name):
    scores, graphs = Live.scores, []

    def watched(self, targets, site=None, values=None):
        found = scores(self, targets, site, values)
        graphs.append(found.requires_grad)
        return found

    monkeypatch.setattr(Live, "scores", watched)
    maps_of(tiny, study, name)
    assert graphs
    assert not any(graphs)
    assert torch.is_grad_enabled()
