"""Baseline images: means as they are defined, in source space, without what was to be seen."""

import numpy as np
import pytest
import torch

from groundviz.demo.phantoms import phantom
from groundviz.errors import UnknownName
from groundviz.methods.toolkit import baselines
from groundviz.methods.toolkit.baselines import baseline, blurred, local_mean
from groundviz.runtime import borrow

RNG = np.random.default_rng(5)


def weighted_mean(pixels, weigh):
    """Each pixel's mean over all pixels, by the distances in rows and columns."""
    rows, cols = np.indices(pixels.shape[:2])
    found = np.empty_like(pixels)
    for row, col in np.ndindex(pixels.shape[:2]):
        weights = weigh(rows - row, cols - col)
        found[row, col] = np.tensordot(weights, pixels, 2) / weights.sum()
    return found


@pytest.mark.parametrize("shape", [(12, 12), (9, 14), (14, 9, 3)])
def test_blur_is_a_gaussian_of_a_share_of_the_shorter_side(shape):
    pixels = RNG.random(shape, dtype=np.float32)
    sigma = 0.15 * min(shape[:2])
    expected = weighted_mean(pixels, lambda row, col: np.exp(-(row**2 + col**2) / (2 * sigma**2)))
    np.testing.assert_allclose(blurred(pixels), expected, atol=1e-5)
    assert blurred(pixels).dtype == np.float32


@pytest.mark.parametrize("shape", [(12, 12), (9, 14), (14, 9, 3)])
def test_mean_is_over_a_square_half_as_wide_as_the_shorter_side(shape):
    pixels = RNG.random(shape, dtype=np.float32)
    reach = min(shape[:2]) / 4
    expected = weighted_mean(pixels, lambda row, col: (abs(row) <= reach) & (abs(col) <= reach))
    np.testing.assert_allclose(local_mean(pixels), expected, atol=1e-5)


@pytest.mark.parametrize("filtered", [blurred, local_mean])
def test_an_even_image_stays_as_it_is_up_to_its_border(filtered):
    even = np.full((20, 31), 0.7, np.float32)
    np.testing.assert_allclose(filtered(even), even, atol=1e-6)


@pytest.mark.parametrize("filtered", [blurred, local_mean])
def test_a_nodule_leaves_next_to_no_trace(filtered):
    sick, healthy = (phantom(3, findings=["nodule"], without=without).pixels for without in ([], ["nodule"]))
    before, after = np.abs(sick - healthy).max(), np.abs(filtered(sick) - filtered(healthy)).max()
    assert before > 0.1
    assert after < 0.1 * before


@pytest.mark.parametrize(("filtered", "apart"), [(blurred, 1e-4), (local_mean, 1.5e-2)])
def test_blocks_of_a_large_image_weigh_as_its_pixels_do(filtered, apart, monkeypatch):
    pixels = phantom(3, size=400).pixels[:, :331]
    whole = filtered(pixels)
    # As in an image of 1,536 pixels: three to a block, the last ones of fewer.
    monkeypatch.setattr(baselines, "FINE", 110)
    found = filtered(pixels)
    assert not np.array_equal(found, whole)
    np.testing.assert_allclose(found, whole, atol=apart)


def test_flat_is_the_mean_of_each_colour():
    pixels = RNG.random((5, 7, 3), dtype=np.float32)
    found = baselines.flat(pixels)
    np.testing.assert_allclose(found[4, 6], pixels.mean(axis=(0, 1)), atol=1e-6)
    assert np.ptp(found, axis=(0, 1)).max() == 0


@pytest.mark.parametrize("kind", ["blur", "mean", "black", "flat"])
def test_it_reads_like_the_image_at_the_pixels(tiny, source_image, kind):
    with borrow(tiny) as live:
        live.encode(source_image, "Is there a nodule?")
        found, image = baseline(live, kind), live.read(live.site("pixels"))
    assert (found.shape, found.dtype) == (image.shape, image.dtype)
    assert float(found.std()) < float(image.std())


def test_black_goes_through_the_models_own_preprocessing(tiny, source_image):
    with borrow(tiny) as live:
        live.encode(source_image, "Is there a nodule?")
        found = baseline(live, "black")[0]
    processor = tiny.processor.image_processor
    mean, deviation = torch.tensor(processor.image_mean), torch.tensor(processor.image_std)
    torch.testing.assert_close(found, (-mean / deviation).expand_as(found))


def test_what_there_is_is_listed(tiny, source_image):
    with borrow(tiny) as live:
        live.encode(source_image, "Is there a nodule?")
        with pytest.raises(UnknownName, match="'white': there are blur, mean, black"):
            baseline(live, "white")
