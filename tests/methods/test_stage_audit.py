"""The stage audit against plain autograd, layer by layer."""

import numpy as np
import pytest

from tests.methods.autograd import AGAINST, LAYERS, Plain, close, explained


@pytest.mark.parametrize("against", AGAINST)
def test_each_layers_map_is_its_share_of_absolute_input_times_gradient(tiny, source_image, against):
    explanation, maps = explained(tiny, source_image, "stage_audit", against=against)
    plain = Plain(tiny, explanation.record)
    for layer, at in enumerate(LAYERS):
        values, gradients = plain.gradients(at)
        parts = (values * gradients).abs().sum(-1)
        close(maps[0, layer], parts / parts.sum(), share=1e-3)


def test_layers_are_named_and_the_last_one_is_left_out(tiny, source_image):
    explanation, maps = explained(tiny, source_image, "stage_audit")
    assert explanation.heatmap().params["sites"] == ("vision.0", "projector", "language.0")
    np.testing.assert_allclose(maps.sum(-1), 1.0, rtol=1e-5)
    one = explanation.heatmap(layer=1)
    np.testing.assert_array_equal(one.values.reshape(-1), maps[0, 1])


def test_the_single_map_is_the_mean_over_layers_and_adds_up_to_one(tiny, source_image):
    explanation, maps = explained(tiny, source_image, "stage_audit", target=["nodule", "effusion"])
    for number, text in enumerate(["nodule", "effusion"]):
        found = explanation.heatmap(target=text).values.reshape(-1)
        np.testing.assert_allclose(found, maps[number].mean(0), rtol=1e-5)
        assert found.sum() == pytest.approx(1.0, rel=1e-5)
