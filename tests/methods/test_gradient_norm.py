"""The gradient norm against plain autograd."""

import pytest

from groundviz.errors import UnsupportedMethod
from tests.methods.autograd import AGAINST, LAYERS, Plain, close, explained


@pytest.mark.parametrize("at", ["pixels", *LAYERS])
@pytest.mark.parametrize("against", AGAINST)
def test_it_is_the_length_of_each_cells_gradient(tiny, source_image, at, against):
    explanation, maps = explained(tiny, source_image, "gradient_norm", at=at, against=against)
    _, gradients = Plain(tiny, explanation.record).gradients(at)
    close(maps[0, 0], gradients.square().sum(-1).sqrt())
    assert not explanation.heatmap().signed


def test_it_lies_at_the_last_layer_of_the_tower_unless_told_otherwise(tiny, source_image):
    explanation, maps = explained(tiny, source_image, "gradient_norm")
    _, there = explained(tiny, source_image, "gradient_norm", at="vision.0")
    assert (maps == there).all()
    assert explanation.heatmap().grid.rows == 4


def test_behind_the_last_layer_there_is_no_gradient(tiny, source_image):
    with pytest.raises(UnsupportedMethod, match="exactly zero"):
        explained(tiny, source_image, "gradient_norm", at="language.1")
