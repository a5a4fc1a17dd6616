"""Maps against gaze: definitions written out, on random maps."""

import itertools

import numpy as np
import pytest

from groundviz.metrics import METRICS, measure, score


def auc_judd(values, fixated):
    """Trapezoids over all thresholds, point by point."""
    points = [(0.0, 0.0)]
    for threshold in sorted(set(values[fixated]), reverse=True):
        hits = np.mean([value >= threshold for value in values[fixated]])
        alarms = np.mean([value >= threshold for value in values[~fixated]])
        points.append((alarms, hits))
    points.append((1.0, 1.0))
    return sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in itertools.pairwise(points))


def test_they_equal_their_definitions():
    draw = np.random.default_rng(0)
    for _ in range(300):
        values = draw.choice([draw.random(30), draw.integers(0, 4, 30).astype(float), draw.normal(size=30)])
        density = np.where(draw.random(30) < 0.5, draw.random(30) * 7, 0.0)
        found = {name: METRICS[name](values, density) for name in ("ncc", "kl", "auc_judd")}
        assert found["ncc"] == pytest.approx(np.corrcoef(values, density)[0, 1], abs=1e-9)
        p, q = density / density.sum(), np.maximum(values, 0) / np.maximum(values, 0).sum()
        assert found["kl"] == pytest.approx(np.sum(p * np.log(2.2204e-16 + p / (q + 2.2204e-16))), abs=1e-9)
        assert found["auc_judd"] == pytest.approx(auc_judd(values, density > 0), abs=1e-9)


def test_a_map_equal_to_the_density_is_perfect():
    density = np.random.default_rng(1).random((8, 8))
    found = score(density, density, density=True)
    assert found["ncc"] == pytest.approx(1.0)
    assert found["kl"] == pytest.approx(0.0, abs=1e-6)


def test_a_constant_map_is_as_good_as_chance():
    density = np.zeros((4, 4))
    density[1, 2] = 3.0
    found = measure(np.full((4, 4), 2.0), density, density=True)
    assert [one.value for one in found] == pytest.approx([0.0, np.log(16), 0.5])
    assert [one.chance for one in found] == pytest.approx([0.0, np.log(16), 0.5])
    assert {one.flag for one in found} == {"constant map"}


def test_a_density_keeps_its_amount_on_a_coarse_grid():
    density = np.random.default_rng(2).random((12, 12))
    coarse = density.reshape(4, 3, 4, 3).mean(axis=(1, 3))
    values = np.random.default_rng(3).random((4, 4))
    found = score(values, density, density=True, metrics=["ncc"])
    assert found["ncc"] == pytest.approx(np.corrcoef(values.ravel(), coarse.ravel())[0, 1], abs=1e-9)
