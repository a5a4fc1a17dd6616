"""Input times gradient against plain autograd."""

import numpy as np
import pytest

from groundviz.errors import UnknownName, UnsupportedMethod
from groundviz.explain import explain
from groundviz.models import verdict_on
from tests.methods.autograd import AGAINST, ANSWER, LAYERS, QUESTION, Plain, close, explained


@pytest.mark.parametrize("at", ["pixels", *LAYERS[:-1]])
@pytest.mark.parametrize("against", AGAINST)
def test_it_is_the_signed_sum_over_channels_of_value_times_gradient(tiny, source_image, at, against):
    explanation, maps = explained(tiny, source_image, "input_gradient", at=at, against=against)
    values, gradients = Plain(tiny, explanation.record).gradients(at)
    close(maps[0, 0], (values * gradients).sum(-1))
    heatmap = explanation.heatmap()
    assert (heatmap.unit, heatmap.signed, heatmap.params["at"]) == ("nats", True, at)


def test_cells_that_are_read_through_a_norm_alone_have_no_products(tiny, source_image):
    """The last layer but one of a decoder: its cells are keys and values of the last one and nothing else."""
    with pytest.raises(UnsupportedMethod, match="normalises each cell by itself"):
        explained(tiny, source_image, "input_gradient", at="language.0")


def test_at_the_pixels_there_is_a_cell_for_each_pixel_that_the_model_sees(tiny, source_image):
    explanation, _ = explained(tiny, source_image, "input_gradient")
    grid = explanation.heatmap().grid
    assert (grid.rows, grid.cols, grid.stage) == (28, 28, "pixels")


def test_several_targets_each_get_their_own_map_and_share_the_forward_pass(tiny, source_image):
    verdict_on(tiny)  # Certifying it the first time takes passes, too.
    calls = []
    handle = tiny.model.register_forward_hook(lambda *_: calls.append(1))
    _, alone = explained(tiny, source_image, "input_gradient", target="effusion")
    one = len(calls)
    _, both = explained(tiny, source_image, "input_gradient", target=["nodule", "effusion"])
    handle.remove()
    assert len(calls) == 2 * one
    np.testing.assert_array_equal(both[1], alone[0])


def test_methods_at_one_layer_share_the_pass(tiny, source_image):
    verdict_on(tiny)  # Certifying it the first time takes passes, too.
    calls = []
    handle = tiny.model.register_forward_hook(lambda *_: calls.append(1))
    for methods in (["grad_cam"], ["grad_cam", "hires_cam", "layer_cam"]):
        explain(tiny, source_image, QUESTION, answer=ANSWER, methods=methods, evidence=None)
    handle.remove()
    # Reading the answer, and one pass with gradients; both times.
    assert len(calls) == 4


def test_behind_the_last_layer_there_is_no_gradient(tiny, source_image):
    with pytest.raises(UnsupportedMethod, match=r"language\.1: it is exactly zero.*projector, language\.0\."):
        explained(tiny, source_image, "input_gradient", at="language.1")


def test_a_place_that_the_model_has_not_is_refused_by_name(tiny, source_image):
    with pytest.raises(UnknownName, match=r"'language\.9'.*language\.1"):
        explained(tiny, source_image, "input_gradient", at="language.9")
