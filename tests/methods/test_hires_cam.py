"""HiResCAM against its formula on the tensors of plain transformers."""

import numpy as np
import pytest

from tests.methods.autograd import AGAINST, LAYERS, Plain, close, explained


@pytest.mark.parametrize("at", LAYERS[:-1])
@pytest.mark.parametrize("against", AGAINST)
def test_each_feature_is_weighed_at_its_own_cell(tiny, source_image, at, against):
    explanation, maps = explained(tiny, source_image, "hires_cam", at=at, against=against)
    values, gradients = Plain(tiny, explanation.record).gradients(at)
    products = (values * gradients).sum(-1)
    assert products.min() < 0 < products.max()
    close(maps[0, 0], products.clamp(min=0))


def test_it_is_input_times_gradient_where_that_is_positive(tiny, source_image):
    _, maps = explained(tiny, source_image, "hires_cam", target=["nodule", "effusion"])
    _, products = explained(
        tiny, source_image, "input_gradient", at="projector", target=["nodule", "effusion"]
    )
    np.testing.assert_array_equal(maps, np.maximum(products, 0))
