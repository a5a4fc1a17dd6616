"""Grad-CAM against its formula on the tensors of plain transformers."""

import pytest
import torch

from groundviz.errors import UnsupportedMethod
from tests.methods.autograd import AGAINST, LAYERS, Plain, close, explained


@pytest.mark.parametrize("at", LAYERS)
@pytest.mark.parametrize("against", AGAINST)
def test_features_are_weighed_by_their_mean_gradient_and_cut_at_zero(tiny, source_image, at, against):
    explanation, maps = explained(tiny, source_image, "grad_cam", at=at, against=against)
    values, gradients = Plain(tiny, explanation.record).gradients(at)
    weighed = values @ gradients.mean(0)
    assert weighed.max() > 0
    close(maps[0, 0], weighed.clamp(min=0))
    assert explanation.heatmap().unit == "nats per cell"


def test_cells_are_weighed_alike(tiny, source_image):
    # Swapping two cells' features would swap their values: the weights are the same everywhere.
    explanation, maps = explained(tiny, source_image, "grad_cam")
    values, gradients = Plain(tiny, explanation.record).gradients("projector")
    swapped = values.roll(1, dims=0)
    close(torch.relu(swapped @ gradients.mean(0)), torch.from_numpy(maps[0, 0]).roll(1))


@pytest.mark.parametrize("method", ["grad_cam", "hires_cam", "layer_cam"])
@pytest.mark.parametrize(
    ("at", "why"),
    [
        ("language.1", r"exactly zero.*vision\.0, projector, language\.0"),
        ("pixels", "no features.*projector"),
    ],
)
def test_places_that_cannot_do_are_refused_with_others_that_can(tiny, source_image, method, at, why):
    with pytest.raises(UnsupportedMethod, match=why):
        explained(tiny, source_image, method, at=at)
