"""Shapley values are those of the definition, within the error that they state, and add up."""

import itertools

import numpy as np
import pytest
import torch

from groundviz.errors import UnknownName, UnsupportedMethod
from groundviz.explain import explain
from groundviz.methods import shapley as module
from groundviz.methods.shapley import shapley
from groundviz.methods.toolkit.baselines import baseline
from groundviz.methods.toolkit.coalitions import Pairs
from groundviz.methods.toolkit.method import each_token_and
from groundviz.record.types import Samples
from groundviz.runtime.passes.forward import Passes
from tests.methods.linear import QUESTION, asked, by_cell, make_linear, values_of
from tests.methods.planes import as_image


@pytest.mark.parametrize("samples", [1, 2, 5])
def test_a_linear_model_gives_its_own_terms(tiny, source_image, monkeypatch, samples):
    with asked(tiny, source_image) as (live, prompt, answer):
        values, weights = make_linear(monkeypatch, live, "pixels", constant=-7.0)
        terms = as_image((weights * (values - baseline(live, "mean")))[: len(answer.tokens)])
        found = values_of(shapley(live, prompt, answer, (), cells=16, samples=samples, fill="mean"))
    np.testing.assert_allclose(found, by_cell(terms, 4), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("cells", [1, 5])
def test_the_places_add_up_to_what_the_image_adds(tiny, source_image, cells):
    with asked(tiny, source_image) as (live, prompt, answer):
        wanted = each_token_and(answer, live.targets(answer, "nodule", "pneumothorax"))
        site = live.site("pixels")
        with torch.no_grad():
            gain = live.scores(wanted) - live.scores(wanted, site, baseline(live, "blur"))
        found = values_of(shapley(live, prompt, answer, wanted, cells=cells, samples=3))
    assert np.abs(found).max() > 1e-3
    np.testing.assert_allclose(found.sum((1, 2)), gain[0], atol=1e-4)


def test_two_places_that_only_count_together_share_evenly(tiny, source_image, monkeypatch):

    with asked(tiny, source_image) as (live, prompt, answer):
        original = live.read(live.site("pixels"))

        def both(self, targets, at, given):
            shown = torch.ones(1, 4) if given is None else _shown(given, original)
            return (shown[:, 0] * shown[:, 3])[:, None].expand(-1, len(targets))

        monkeypatch.setattr(Passes, "scores", both)
        found = values_of(shapley(live, prompt, answer, (), cells=4, samples=2))
    np.testing.assert_allclose(found[0], [[0.5, 0.0], [0.0, 0.5]], atol=1e-6)


def by_definition(worth, places):
    """Shapley values as the mean over all orders of what each place adds: (place,)."""
    gains = np.zeros(places)
    orders = list(itertools.permutations(range(places)))
    for order in orders:
        shown = np.zeros(places, bool)
        for place in order:
            before = worth(shown)
            shown[place] = True
            gains[place] += worth(shown) - before
    return gains / len(orders)


def worths(places, seed=3):
    """A game with a number of its own for every set of places: (set,) and a way to look one up."""
    numbers = np.random.default_rng(seed).normal(size=2**places)
    return lambda shown: numbers[int(np.dot(np.asarray(shown), 2 ** np.arange(places)))]


def played(pairs, worth, places, passes=None):
    """Shares, and errors, of a game of which the first passes were played."""
    shown = pairs.at(slice(0, passes or pairs.passes)).numpy()
    scores = torch.tensor([[worth(one)] for one in shown])
    gain = torch.tensor([worth(np.ones(places, bool)) - worth(np.zeros(places, bool))])
    return pairs.shares(scores, gain)


@pytest.mark.parametrize("places", [1, 2, 3, 5, 6])
def test_where_all_sets_are_taken_the_values_are_those_of_the_definition(places):
    worth = worths(places)
    pairs = Pairs.draw(torch.Generator().manual_seed(1), places, 100)
    assert pairs.exact and pairs.passes == max(0, 2**places - 2)
    values, errors = (
        played(pairs, worth, places)
        if places > 1
        else pairs.shares(torch.zeros(0, 1), torch.tensor([worth([True]) - worth([False])]))
    )
    np.testing.assert_allclose(values[:, 0], by_definition(worth, places), atol=1e-9)
    assert errors is None


def test_random_sets_come_to_the_values_of_the_definition_within_their_error():
    """Two hundred seeds: no bias beyond chance, the stated error is the deviation, coverage is 95 %."""
    places, worth = 7, worths(7)
    truth, found, stated = by_definition(worth, places), [], []
    for seed in range(200):
        pairs = Pairs.draw(torch.Generator().manual_seed(seed), places, 12)
        assert not pairs.exact
        values, errors = played(pairs, worth, places)
        found.append(values[:, 0].numpy())
        stated.append(errors[:, 0].numpy())
    found, stated = np.array(found), np.array(stated)
    deviation = found.std(axis=0, ddof=1)
    assert np.abs(found.mean(axis=0) - truth).max() < 4 * deviation.max() / 200**0.5
    np.testing.assert_allclose(np.sqrt((stated**2).mean(axis=0)), deviation, rtol=0.15)
    assert (np.abs(found - truth) <= 2 * stated).mean() == pytest.approx(0.95, abs=0.03)
    np.testing.assert_allclose(found.sum(axis=1), truth.sum(), atol=1e-9)


def test_sets_are_drawn_by_the_shapley_kernel():
    pairs = Pairs.draw(torch.Generator().manual_seed(3), 12, 300)
    sizes = np.bincount(pairs.shown.sum(dim=1), minlength=13)[1:12] / len(pairs.shown)
    expected = 1 / (np.arange(1, 12) * (12 - np.arange(1, 12)))
    np.testing.assert_allclose(sizes, expected / expected.sum(), atol=0.03)
    # Of one size, every place is as likely.
    ones = pairs.shown[pairs.shown.sum(dim=1) == 1].double().mean(dim=0)
    np.testing.assert_allclose(ones, 1 / 12, atol=0.06)


def test_each_set_is_followed_by_all_others():
    pairs = Pairs.draw(torch.Generator().manual_seed(3), 9, 5)
    shown = pairs.at(slice(0, pairs.passes))
    assert torch.equal(shown[0::2], ~shown[1::2])
    assert torch.equal(pairs.at(slice(3, 6)), shown[3:6])


def test_too_few_sets_tell_no_shares_and_just_enough_no_error():
    pairs, worth = Pairs.draw(torch.Generator().manual_seed(3), 9, 5), worths(9)
    assert played(pairs, worth, 9, passes=7) is None
    each = Pairs(torch.eye(9) > 0, torch.ones(9, dtype=torch.float64), exact=False)
    values, errors = played(each, worth, 9)
    assert values.shape == (9, 1) and errors is None


def test_sets_are_drawn_until_the_error_is_small_enough(tiny, source_image, monkeypatch):
    monkeypatch.setattr(module, "FIRST", 6)

    def run(tolerance):
        options = {"cells": 9, "samples": 30, "tolerance": tolerance}
        return explain(tiny, source_image, QUESTION, methods={"shapley": options}, target=0).heatmap(
            "shapley"
        )

    loose, never = run(10.0), run(1e-9)
    assert loose.samples.done < 100 and loose.samples.complete
    assert never.samples == Samples(done=270, asked=270)
    assert 0 < never.standard_error.max() < loose.standard_error.max()
    assert np.abs(loose.values - never.values).max() < 4 * loose.standard_error.max()


def test_superpixels_add_up_as_well(tiny, source_image):
    options = {"regions": "superpixels", "cells": 6, "samples": 2}
    explanation = explain(tiny, source_image, QUESTION, methods={"shapley": options})
    values = explanation.record.heatmaps[0].values[0, 0, 0]
    assert values.shape == (28, 28)
    assert 2 <= len(np.unique(values)) <= 9


def test_the_seed_chooses_the_orders_and_nothing_else_does(tiny, source_image):
    def found(seed, *before):
        options = {"cells": 9, "samples": 1}
        recipes = {**{name: {} for name in before}, "shapley": options}
        return explain(tiny, source_image, QUESTION, methods=recipes, seed=seed).heatmap("shapley").values

    np.testing.assert_array_equal(found(4), found(4, "attention"))
    assert not np.array_equal(found(4), found(5))


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"samples": 0}, UnsupportedMethod, "samples=0"),
        ({"tolerance": 0}, UnsupportedMethod, "tolerance=0"),
        ({"regions": "hexagons"}, UnknownName, "superpixels"),
    ],
)
def test_options_that_make_no_sense_are_refused(tiny, source_image, options, error, says):
    with pytest.raises(error, match=says):
        explain(tiny, source_image, QUESTION, methods={"shapley": options})


def _shown(images, original):
    """Which quarters of each image are the original's: 0 or 1, (batch, quarter)."""
    same = as_image(images - original).abs().amax(1) < 1e-6
    quarters = same.reshape(-1, 2, 14, 2, 14).float().mean((2, 4))
    return (quarters > 0.9).float().flatten(1)
