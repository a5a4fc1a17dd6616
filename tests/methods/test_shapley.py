"""Shapley values of a linear model are its terms; of any model they add up to what the picture adds."""

import itertools

import numpy as np
import pytest
import torch

from groundviz.errors import UnknownName, UnsupportedMethod
from groundviz.explain import explain
from groundviz.methods.method import each_token_and
from groundviz.methods.shapley import _ranks, shapley
from groundviz.runtime.baselines import baseline
from tests.methods.linear import QUESTION, asked, by_cell, make_linear, values_of
from tests.methods.planes import as_picture


@pytest.mark.parametrize("samples", [1, 2, 5])
def test_a_linear_model_gives_its_own_terms(tiny, study, monkeypatch, samples):
    with asked(tiny, study) as (live, prompt, answer):
        values, weights = make_linear(monkeypatch, live, "pixels", constant=-7.0)
        terms = as_picture((weights * (values - baseline(live, "mean")))[: len(answer.tokens)])
        found = values_of(shapley(live, prompt, answer, (), cells=16, samples=samples, fill="mean"))
    np.testing.assert_allclose(found, by_cell(terms, 4), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("cells", [1, 5])
def test_the_places_add_up_to_what_the_picture_adds(tiny, study, cells):
    with asked(tiny, study) as (live, prompt, answer):
        wanted = each_token_and(answer, live.targets(answer, "nodule", "pneumothorax"))
        site = live.site("pixels")
        with torch.no_grad():
            gain = live.scores(wanted) - live.scores(wanted, site, baseline(live, "blur"))
        found = values_of(shapley(live, prompt, answer, wanted, cells=cells, samples=3))
    assert np.abs(found).max() > 1e-3
    np.testing.assert_allclose(found.sum((1, 2)), gain[0], atol=1e-4)


def test_two_orders_share_a_pair_out_evenly(tiny, study, monkeypatch):
    """Two places that only count together: an order and its reverse give half to each."""
    from groundviz.runtime.passes import Passes

    with asked(tiny, study) as (live, prompt, answer):
        original = live.read(live.site("pixels"))

        def both(self, targets, at, given):
            shown = torch.ones(1, 4) if given is None else _shown(given, original)
            return (shown[:, 0] * shown[:, 3])[:, None].expand(-1, len(targets))

        monkeypatch.setattr(Passes, "scores", both)
        found = values_of(shapley(live, prompt, answer, (), cells=4, samples=2))
    np.testing.assert_allclose(found[0], [[0.5, 0.0], [0.0, 0.5]], atol=1e-6)


def test_every_order_is_as_likely_as_every_other():
    drawn = [tuple(ranks) for ranks in _ranks(torch.Generator().manual_seed(3), 12_000, 4).tolist()]
    counts = [drawn.count(order) for order in itertools.permutations(range(4))]
    assert sum(counts) == 12_000
    # Six deviations of a count of pairs.
    assert all(abs(count - 500) < 6 * (2 * 500) ** 0.5 for count in counts)


def test_superpixels_add_up_as_well(tiny, study):
    options = {"regions": "superpixels", "cells": 6, "samples": 2}
    explanation = explain(tiny, study, QUESTION, methods={"shapley": options})
    values = explanation.record.heatmaps[0].values[0, 0, 0]
    assert values.shape == (28, 28)
    assert 2 <= len(np.unique(values)) <= 9


def test_the_seed_chooses_the_orders_and_nothing_else_does(tiny, study):
    def found(seed, *before):
        options = {"cells": 9, "samples": 1}
        recipes = {**{name: {} for name in before}, "shapley": options}
        return explain(tiny, study, QUESTION, methods=recipes, seed=seed).heatmap("shapley").values

    np.testing.assert_array_equal(found(4), found(4, "attention"))
    assert not np.array_equal(found(4), found(5))


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [({"samples": 0}, UnsupportedMethod, "samples=0"), ({"regions": "hexagons"}, UnknownName, "superpixels")],
)
def test_options_that_make_no_sense_are_refused(tiny, study, options, error, says):
    with pytest.raises(error, match=says):
        explain(tiny, study, QUESTION, methods={"shapley": options})


def _shown(pictures, original):
    """Which quarters of each picture are the original's: 0 or 1, (batch, quarter)."""
    same = as_picture(pictures - original).abs().amax(1) < 1e-6
    quarters = same.reshape(-1, 2, 14, 2, 14).float().mean((2, 4))
    return (quarters > 0.9).float().flatten(1)
