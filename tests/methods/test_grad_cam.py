"""Grad-CAM against its formula on the tensors of plain transformers."""

import pytest
import torch

from groundviz.errors import UnsupportedMethod
from tests.methods.autograd import AGAINST, LAYERS, Plain, close, explained


@pytest.mark.parametrize("at", LAYERS)
@pytest.mark.parametrize("against", AGAINST)
def test_features_are_weighed_by_their_mean_gradient_and_cut_at_zero(tiny, study, at, against):
    explanation, maps = explained(tiny, study, "grad_cam", at=at, against=against)
    values, slopes = Plain(tiny, explanation.record).slopes(at)
    weighed = values @ slopes.mean(0)
    assert weighed.max() > 0
    close(maps[0, 0], weighed.clamp(min=0))
    assert explanation.heatmap().unit == "nats per cell"


def test_cells_are_weighed_alike(tiny, study):
    # Swapping two cells' features would swap their values: the weights are the same everywhere.
    explanation, maps = explained(tiny, study, "grad_cam")
    values, slopes = Plain(tiny, explanation.record).slopes("projector")
    swapped = values.roll(1, dims=0)
    close(torch.relu(swapped @ slopes.mean(0)), torch.from_numpy(maps[0, 0]).roll(1))


@pytest.mark.parametrize("method", ["grad_cam", "hires_cam", "layer_cam"])
@pytest.mark.parametrize(
    ("at", "why"),
    [
        ("language.1", r"exactly zero.*vision\.0, projector, language\.0"),
        ("pixels", "no features.*projector"),
    ],
)
def test_places_that_cannot_do_are_refused_with_others_that_can(tiny, study, method, at, why):
    with pytest.raises(UnsupportedMethod, match=why):
        explained(tiny, study, method, at=at)
