"""One byte a cell: half a step off at most, and a sink takes nothing from the other cells."""

import numpy as np
import pytest

from groundviz.render.viewer.quantize import coded, decoded


def _round(values):
    return decoded(coded(values), values.shape)


@pytest.mark.parametrize("seed", range(4))
def test_every_value_comes_back_within_half_a_step_of_its_part(seed):
    values = np.random.default_rng(seed).standard_normal((3, 2, 24, 24)).astype(np.float32) ** 3
    flat = np.sort(values.reshape(3, 2, -1), axis=-1)
    low, first, last, high = (flat[..., at, None, None] for at in (0, 6, 569, 575))
    error = np.abs(_round(values) - values)
    allowed = np.where(values < first, (first - low) / 54, np.where(values > last, (high - last) / 54, 0.0))
    inner = (last - first) / 400
    assert (error <= 1.001 * np.maximum(allowed, inner)).all()
    inside = (values >= first) & (values <= last)
    assert (error <= 1.001 * inner)[inside].all()


@pytest.mark.parametrize("sink", [1e-2, 1.0, 1e4, -1e4])
def test_a_sink_takes_nothing_from_the_other_cells(sink):
    values = (1e-4 * np.random.default_rng(0).random((1, 20, 20))).astype(np.float32)
    values[0, 3, 4] = sink
    found = _round(values)
    assert np.delete(np.abs(found - values).ravel(), 64).max() <= 0.03 * 1e-4
    assert found[0, 3, 4] == pytest.approx(sink)


def test_ends_are_kept_exactly_and_a_flat_map_stays_flat():
    values = np.stack([np.linspace(-3, 9, 30), np.full(30, 0.125)]).reshape(2, 5, 6).astype(np.float32)
    found = _round(values)
    assert (found[0].min(), found[0].max()) == (-3.0, 9.0)
    assert (found[1] == np.float32(0.125)).all()


def test_cells_without_a_value_stay_so_and_do_not_count():
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    values[0, 1:] = np.nan
    values[1] = np.nan
    found = _round(values)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(values))
    np.testing.assert_allclose(found[0, 0], values[0, 0], atol=0.02)


def test_the_bytes_are_four_ends_and_a_code_for_each_cell():
    assert len(coded(np.zeros((2, 3, 4, 5), np.float32))) == 2 * 3 * (16 + 20)
