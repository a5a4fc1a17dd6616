"""Phantoms as a data set: what is asked, what is right, and where it is."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from groundviz import datasets
from groundviz.datasets.regions import reference
from groundviz.demo.phantoms import phantom
from groundviz.errors import OptionError


def test_each_region_is_the_mask_of_what_is_asked_for() -> None:
    dataset = datasets.load("phantoms", phantoms=6, kinds=["presence", "side", "report"])
    for sample in dataset.samples:
        drawn = phantom(int(sample.patient))
        assert np.array_equal(dataset.image(sample), drawn.pixels)
        mask = reference(sample.regions, (112, 112))
        if sample.finding is None:
            assert np.array_equal(mask, np.any([np.zeros_like(mask), *drawn.masks], axis=0))
        elif sample.finding in drawn.names:
            assert np.array_equal(mask, drawn.mask(sample.finding))
            assert sample.answer != "no"
        else:
            assert not sample.regions
            assert sample.answer == "no"


def test_loading_draws_nothing(monkeypatch) -> None:
    monkeypatch.setattr("groundviz.datasets.phantoms.phantom", None)
    assert len(datasets.load("phantoms", phantoms=50)) > 50


def test_it_is_the_same_every_time_and_travels() -> None:
    first, second = datasets.load("phantoms", phantoms=5), datasets.load("phantoms", phantoms=8)
    assert first.samples == second.samples[: len(first)]
    sent = pickle.loads(pickle.dumps(first))  # noqa: S301
    assert sent.samples == first.samples
    assert np.array_equal(sent.image(sent.samples[0]), first.image(first.samples[0]))
    other = datasets.load("phantoms", phantoms=5, size=64)
    assert not {s.sample_id for s in other.samples} & {s.sample_id for s in first.samples}


def test_what_is_drawn_cannot_be_changed_by_who_asks() -> None:
    dataset = datasets.load("phantoms", limit=1)
    (sample,) = dataset.samples
    dataset.image(sample)[:] = 0
    np.asarray(sample.regions[0].data)[:] = False
    assert dataset.image(sample).any()
    assert np.asarray(sample.regions[0].data).any()


@pytest.mark.parametrize(
    "options",
    [{"phantoms": 0}, {"size": 3}, {"absent": 9}, {"first_seed": -1}, {"kinds": "colour"}, {"wording": True}],
)
def test_impossible_options_are_refused(options) -> None:
    with pytest.raises(OptionError, match="expected"):
        datasets.load("phantoms", **options)
