"""SmoothGrad against the mean of plain gradients over the same noisy images."""

import numpy as np
import pytest
import torch

from groundviz.errors import UnsupportedMethod
from groundviz.explain import explain
from groundviz.runtime import Live
from groundviz.runtime.passes.batches import in_batches
from tests.methods.autograd import AGAINST, ANSWER, QUESTION, Plain, close, explained
from tests.methods.planes import as_cells, as_image


def noisy(image, samples, deviation, seed=0):
    """The images that a loan with this seed draws."""
    torch.manual_seed(seed)
    seeds = torch.randint(2**62, (samples,)).tolist()
    sources = [torch.Generator().manual_seed(one) for one in seeds]
    shape = as_cells(image).shape
    return [image + deviation * as_image(torch.randn(shape, generator=source)) for source in sources]


@pytest.mark.parametrize("against", AGAINST)
def test_it_is_the_length_of_the_mean_gradient_of_noisy_images(tiny, source_image, against):
    explanation, maps = explained(tiny, source_image, "smooth_grad", samples=5, noise=0.2, against=against)
    plain = Plain(tiny, explanation.record)
    image = plain.inputs["pixel_values"]
    deviation = 0.2 * float(image.max() - image.min())
    gradients = [plain.gradients("pixels", one)[1] for one in noisy(image, 5, deviation)]
    close(maps[0, 0], torch.stack(gradients).mean(0).norm(dim=-1), share=1e-3)
    assert explanation.heatmap().params == {"samples": 5, "noise": 0.2}


def test_with_next_to_no_noise_it_is_the_gradient_norm(tiny, source_image):
    _, smooth = explained(tiny, source_image, "smooth_grad", samples=2, noise=1e-6)
    _, norm = explained(tiny, source_image, "gradient_norm", at="pixels")
    close(smooth, norm, share=1e-3)


def test_the_noise_depends_on_the_seed_alone(tiny, source_image, monkeypatch):
    def run(seed):
        methods = {"smooth_grad": {"samples": 3}}
        explanation = explain(tiny, source_image, QUESTION, methods=methods, answer=ANSWER, seed=seed)
        return explanation.heatmap().values

    first, again, other = run(1), run(1), run(2)
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    monkeypatch.setattr(
        Live, "in_batches", lambda live, *given, label: in_batches(*given, label=label, most=1)
    )
    np.testing.assert_allclose(run(1), first, atol=1e-5 * first.max())


def test_numbers_that_make_no_sense_are_refused(tiny, source_image):
    with pytest.raises(UnsupportedMethod, match="samples=0"):
        explained(tiny, source_image, "smooth_grad", samples=0)


@pytest.mark.wide
def test_the_stated_error_is_how_far_maps_of_other_seeds_lie_apart(tiny, source_image):
    """Forty seeds, at cells whose gradient stands out of the noise."""

    def run(seed):
        methods = {"smooth_grad": {"samples": 24, "noise": 0.02}}
        return explain(tiny, source_image, QUESTION, methods=methods, answer=ANSWER, seed=seed).heatmap()

    maps = [run(seed) for seed in range(40)]
    values = np.stack([one.values for one in maps])
    errors = np.stack([one.standard_error for one in maps])
    deviation, mean = values.std(axis=0, ddof=1), values.mean(axis=0)
    clear = mean > 3 * deviation
    assert clear.mean() > 0.5
    ratio = np.sqrt((errors**2).mean(axis=0))[clear] / deviation[clear]
    assert np.median(ratio) == pytest.approx(1.0, abs=0.1)
    within = np.abs(values - mean)[:, clear] <= 2 * errors[:, clear]
    # Student's distribution of 23 degrees puts .94 within two errors.
    assert within.mean() == pytest.approx(0.94, abs=0.03)


def test_one_noisy_image_tells_no_error(tiny, source_image):
    explanation, _ = explained(tiny, source_image, "smooth_grad", samples=1)
    assert explanation.heatmap().standard_error is None
    assert explanation.heatmap().samples.done == 1
