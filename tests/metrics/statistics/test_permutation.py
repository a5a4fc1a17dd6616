"""Flipped signs against all flips written out, Holm against a case done by hand."""

import itertools

import numpy as np
import pytest

from groundviz.errors import OptionError
from groundviz.metrics.statistics import holm, sign_flip, smallest_p


def all_flips(differences, clusters):
    names = sorted(set(clusters))
    sums = [sum(d for d, c in zip(differences, clusters, strict=True) if c == name) for name in names]
    observed = abs(sum(sums))
    flips = [
        abs(sum(s * f for s, f in zip(sums, signs, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(sums))
    ]
    return np.mean([flip >= observed - 1e-9 for flip in flips])


def test_few_clusters_are_flipped_in_every_way():
    draw = np.random.default_rng(0)
    for _ in range(20):
        clusters = draw.integers(0, 8, 25).tolist()
        differences = draw.choice([-1.0, 0.0, 1.0, 0.5], 25)
        assert sign_flip(differences, clusters) == pytest.approx(all_flips(differences, clusters))


def test_the_smallest_p_is_that_of_differences_that_all_point_one_way():
    for clusters in (1, 2, 5, 6, 16, 17, 40):
        ours = smallest_p(clusters, repeats=99)
        assert ours == pytest.approx(sign_flip(np.ones(clusters), range(clusters), repeats=99))
    assert np.isnan(smallest_p(0))


def test_many_clusters_are_drawn_and_come_close_to_all_flips(monkeypatch):
    draw = np.random.default_rng(1)
    differences = draw.normal(0.4, 1.0, 16)
    exact = sign_flip(differences, range(16))
    monkeypatch.setattr("groundviz.metrics.statistics.permutation._EXACT", 3)
    drawn = sign_flip(differences, range(16), repeats=20000)
    assert drawn == pytest.approx(exact, abs=0.012)
    monkeypatch.setattr("groundviz.metrics.statistics.permutation._BLOCK", 64)
    assert sign_flip(differences, range(16), repeats=500) > 0


def test_no_p_value_is_zero():
    assert sign_flip(np.ones(100), range(100), repeats=99) == 0.01


def test_patients_with_many_samples_count_once():
    differences = np.concatenate([np.ones(50), [-1, 1, -1, 1, -1]])
    clusters = [0] * 50 + [1, 2, 3, 4, 5]
    assert sign_flip(differences, clusters) > 0.8
    assert sign_flip(differences, range(55)) < 0.001


def test_missing_differences_are_left_out():
    assert sign_flip([1, np.nan, 1], [1, 2, 3]) == sign_flip([1, 1], [1, 3]) == 0.5
    assert np.isnan(sign_flip([np.nan], [1]))
    assert sign_flip([0.0, 0.0], [1, 2]) == 1.0


@pytest.mark.slow
def test_it_rejects_as_often_as_it_should():
    draw = np.random.default_rng(9)
    values = []
    for _ in range(500):
        labels = np.repeat(np.arange(30), 4)
        values.append(sign_flip(draw.normal(size=30)[labels] + draw.normal(size=120), labels, repeats=499))
    assert np.mean(np.array(values) <= 0.05) == pytest.approx(0.05, abs=0.03)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    np.testing.assert_allclose(holm([0.02, np.nan, 0.01]), [0.02, np.nan, 0.02])
    assert holm([]).size == 0


def test_holm_rejects_what_stepping_down_rejects():
    draw = np.random.default_rng(2)
    for _ in range(100):
        p_values = draw.random(6) ** 3
        rejected = np.zeros(6, bool)
        for step, index in enumerate(np.argsort(p_values)):
            if p_values[index] > 0.05 / (6 - step):
                break
            rejected[index] = True
        assert (holm(p_values) <= 0.05).tolist() == rejected.tolist()


def test_what_is_no_probability_is_refused():
    with pytest.raises(OptionError, match="from 0 to 1"):
        holm([1.2])
    with pytest.raises(OptionError, match="at least 1"):
        sign_flip([1.0], [1], repeats=0)
