"""RISE of one pixel that counts is the bump that its random masks have in the mean."""

import numpy as np
import pytest
import torch

from groundviz.errors import UnsupportedMethod
from groundviz.explain import explain
from groundviz.methods import rise as module
from groundviz.methods.rise import rise
from groundviz.methods.toolkit.baselines import baseline
from groundviz.methods.toolkit.random_masks import Masks
from groundviz.record.types import Samples
from groundviz.runtime.passes.forward import Passes
from tests.methods.linear import QUESTION, asked, values_of
from tests.methods.planes import as_image

SPOT = (9, 17)


def spline(distance):
    """What two smooth masks have in common at a distance, in cells: the cubic B-spline."""
    away = np.abs(distance)
    near = 2 / 3 - away**2 + away**3 / 2
    return np.where(away < 1, near, np.clip(2 - away, 0, None) ** 3 / 6)


@pytest.mark.parametrize("constant", [0.0, -30.0])
@pytest.mark.parametrize("keep", [0.5, 0.25])
def test_one_pixel_that_counts_gives_the_bump_of_the_formula(tiny, source_image, monkeypatch, keep, constant):
    def one_pixel(self, targets, at, given):
        return as_image(given)[:, :1, SPOT[0], SPOT[1]].expand(-1, len(targets)) + constant

    with asked(tiny, source_image) as (live, prompt, answer):
        monkeypatch.setattr(Passes, "scores", one_pixel)
        away = as_image(live.read(live.site("pixels")) - baseline(live, "blur"))
        weight = away[0, 0, SPOT[0], SPOT[1]].item()
        found = values_of(rise(live, prompt, answer, (), masks=6000, cells=4, keep=keep, tolerance=1e-9))[0]
    centres = (np.arange(16) + 0.5) / 16 * 4
    rows, cols = (spline(centres - (at + 0.5) / 28 * 4) for at in SPOT)
    expected = weight * (1 - keep) * rows[:, None] * cols
    np.testing.assert_allclose(found, expected, atol=0.04 * abs(weight))


def test_masks_show_the_share_they_should_and_are_the_same_at_every_size():
    masks = Masks.draw(torch.Generator().manual_seed(torch.initial_seed()), 400, 5, 0.3)
    fine, coarse = masks.at(slice(0, 400), 63, 21), masks.at(slice(0, 400), 21, 21)
    assert fine.mean().item() == pytest.approx(0.3, abs=0.02)
    assert 0.0 <= fine.min() <= fine.max() <= 1.0
    torch.testing.assert_close(fine[:, 1::3], coarse, atol=1e-5, rtol=0)


def test_the_seed_chooses_the_masks_and_nothing_else_does(tiny, source_image):
    def found(seed, *before):
        recipes = {**{name: {} for name in before}, "rise": {"masks": 8}}
        return explain(tiny, source_image, QUESTION, methods=recipes, seed=seed).heatmap("rise").values

    np.testing.assert_array_equal(found(4), found(4, "attention"))
    assert not np.array_equal(found(4), found(5))


@pytest.mark.parametrize("options", [{"masks": 0}, {"keep": 1.0}, {"keep": 0.0}, {"tolerance": 0}])
def test_options_that_make_no_sense_are_refused(tiny, source_image, options):
    (name,) = options
    with pytest.raises(UnsupportedMethod, match=f"{name}="):
        explain(tiny, source_image, QUESTION, methods={"rise": options})


def test_the_stated_error_is_how_far_maps_of_other_seeds_lie_apart(tiny, source_image):
    """Sixty seeds: the stated error is their deviation, and 95 % of cells lie within two of it."""
    with asked(tiny, source_image) as (live, prompt, answer):
        target = live.targets(answer, "lung nodule", None)
        maps = []
        for seed in range(60):
            live.stream = lambda seed=seed: torch.Generator().manual_seed(seed)
            maps += rise(live, prompt, answer, target, masks=48, cells=3)
    values = np.stack([one.at(target[0]).values for one in maps])
    errors = np.stack([one.at(target[0]).standard_error for one in maps])
    deviation = values.std(axis=0, ddof=1)
    np.testing.assert_allclose(np.sqrt((errors**2).mean()), np.sqrt((deviation**2).mean()), rtol=0.1)
    assert np.median(errors.mean(axis=0) / deviation) == pytest.approx(1.0, abs=0.12)
    within = np.abs(values - values.mean(axis=0)) <= 2 * errors
    assert within.mean() == pytest.approx(0.95, abs=0.03)
    assert errors.dtype == np.float32


def test_masks_are_drawn_until_the_error_is_small_enough(tiny, source_image, monkeypatch):
    monkeypatch.setattr(module, "FIRST", 32)
    monkeypatch.setattr(module, "EVERY", 16)

    def run(tolerance, masks=320):
        options = {"masks": masks, "cells": 3, "tolerance": tolerance}
        return explain(tiny, source_image, QUESTION, methods={"rise": options}, target=0).heatmap("rise")

    loose, close, never = run(10.0), run(0.12), run(1e-6)
    assert loose.samples == Samples(done=32, asked=32)
    assert 32 < close.samples.done < 320 and close.samples.complete
    assert close.standard_error.max() <= 0.12 * np.ptp(close.values)
    # All that may be drawn was drawn, and the error that remains is stated.
    assert never.samples == Samples(done=320, asked=320)
    assert never.standard_error.max() > 1e-6 * np.ptp(never.values)


def test_one_mask_tells_no_error(tiny, source_image):
    with pytest.warns(RuntimeWarning, match="rise found no evidence"):
        found = explain(tiny, source_image, QUESTION, methods={"rise": {"masks": 1}}).heatmap("rise")
    assert found.standard_error is None
    assert found.samples == Samples(done=1, asked=1)
    # What the only mask hid wholly was not measured, which is no zero.
    np.testing.assert_array_equal(np.isfinite(found.values), found.grid.valid)
    assert not found.grid.valid.all()
