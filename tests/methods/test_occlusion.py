"""Occlusion of a linear model is a sum of weights; places and edges are exact."""

import numpy as np
import pytest
import torch

from groundviz.errors import UnknownName, UnsupportedMethod
from groundviz.explain import explain
from groundviz.methods.occlusion import occlusion
from groundviz.methods.toolkit.baselines import baseline
from groundviz.record.geometry import compose, scale_shift
from groundviz.runtime import Live
from tests.methods.linear import QUESTION, asked, by_cell, make_linear, values_of
from tests.methods.planes import as_cells, as_image


@pytest.fixture
def linear(tiny, source_image, monkeypatch):
    """What a linear model loses at each pixel, (target, channel, row, col), and how to occlude it."""
    with asked(tiny, source_image) as (live, prompt, answer):
        values, weights = make_linear(monkeypatch, live, "pixels")
        lost = as_image((weights * (values - baseline(live, "blur")))[: len(answer.tokens)])
        yield (
            lost,
            lambda **options: occlusion(live, prompt, answer, live.targets(answer, None, None), **options),
        )


def test_windows_that_are_the_cells_lose_what_their_pixels_weigh(linear):
    lost, occlude = linear
    found = values_of(occlude(window=7, stride=7))
    np.testing.assert_allclose(found, by_cell(lost, 4), rtol=1e-3, atol=1e-3)


def test_lengths_up_to_one_are_shares_of_the_side(linear):
    _, occlude = linear
    np.testing.assert_array_equal(
        values_of(occlude(window=0.25, stride=0.25)), values_of(occlude(window=7, stride=7))
    )


def test_a_wide_window_lies_around_the_centre_of_its_cell(linear):
    lost, occlude = linear
    found = values_of(occlude(window=10, stride=7))
    # Cell (1, 2) is centred on pixel 10.5, 17.5.
    np.testing.assert_allclose(found[:, 1, 2], _sum(lost, 5.5, 15.5, 12.5, 22.5), rtol=1e-3, atol=1e-3)
    # At the border the window ends with the image.
    np.testing.assert_allclose(found[:, 0, 3], _sum(lost, 0, 8.5, 19.5, 28), rtol=1e-3, atol=1e-3)


def test_cells_that_do_not_fit_whole_pixels_share_them(linear):
    lost, occlude = linear
    found = values_of(occlude(window=5.6, stride=6))
    assert found.shape[1:] == (5, 5)
    np.testing.assert_allclose(found[:, 1, 0], _sum(lost, 5.6, 11.2, 0, 5.6), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.sum((1, 2)), lost.sum((1, 2, 3)), rtol=1e-3, atol=1e-3)


def test_each_pixel_of_a_superpixel_holds_what_it_loses(linear):
    lost, occlude = linear
    found = values_of(occlude(regions="superpixels", stride=7))[0]
    pieces = np.unique(found)
    assert 4 < len(pieces) < 30
    for value in pieces:
        assert value == pytest.approx(float(lost[0].sum(0).numpy()[found == value].sum()), rel=1e-3, abs=1e-3)


def test_inpainting_draws_from_outside_the_window(tiny, source_image, monkeypatch):
    with asked(tiny, source_image) as (live, prompt, answer):
        smooth = torch.linspace(-1, 1, 28).expand(1, 3, 28, 28).clone()
        spoilt = smooth.clone()
        spoilt[..., 10:14, 10:14] = 1.0
        monkeypatch.setattr(Live, "read", lambda self, site: as_cells(spoilt))
        _, weights = make_linear(monkeypatch, live, "pixels")
        found = values_of(occlusion(live, prompt, answer, (), window=14, stride=7, fill="inpaint"))
    # Linear light is biharmonic: the window around the spot brings it back to the last digit.
    expected = (weights * as_cells(spoilt - smooth))[: len(answer.tokens)].sum((1, 2))
    np.testing.assert_allclose(found[:, 1, 1], expected, atol=0.05)


def test_the_map_lies_where_the_model_looked(tiny, source_image):
    (maps,) = explain(
        tiny, source_image, QUESTION, methods={"occlusion": {"window": 7, "stride": 7}}
    ).record.heatmaps
    encoded = tiny.encode((source_image,), QUESTION)
    (pixels,) = encoded.cells["pixels"].grids
    expected = compose(pixels.to_source, scale_shift((7.0, 7.0)))
    np.testing.assert_allclose(maps.grid.to_source, expected)
    # One cell of this window is one token of the model.
    np.testing.assert_allclose(maps.grid.to_source, encoded.prompt.grids[0].to_source)
    assert maps.unit == "nats"
    assert maps.signed


def test_padding_is_neither_hidden_nor_shown(tiny, source_image):
    if tiny.processor.image_processor.size.get("height"):
        pytest.skip("a squashed image has no padding")
    # 40 by 56 becomes 14 by 19, in the middle of 28 by 28.
    tiny.processor.image_processor.size = {"shortest_edge": 14}
    (maps,) = explain(
        tiny, source_image, QUESTION, methods={"occlusion": {"window": 7, "stride": 7}}
    ).record.heatmaps
    seen = np.zeros((4, 4), bool)
    seen[1:3, 0:4] = True
    np.testing.assert_array_equal(maps.grid.valid, seen)
    np.testing.assert_array_equal(np.isfinite(maps.values[0, 0, 0]), seen)
    assert maps.params["windows_done"] == 8


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"window": 0}, UnsupportedMethod, "window=0"),
        ({"stride": float("nan")}, UnsupportedMethod, "stride=nan"),
        ({"regions": "hexagons"}, UnknownName, "'hexagons'.*superpixels"),
        ({"fill": "white"}, UnknownName, "'white'.*blur"),
    ],
)
def test_options_that_make_no_sense_are_refused(tiny, source_image, options, error, says):
    with pytest.raises(error, match=says):
        explain(tiny, source_image, QUESTION, methods={"occlusion": options})


def _sum(lost, top, bottom, left, right):
    """Sums over a rectangle (target,) with fractional edges."""
    rows = np.clip(np.minimum(np.arange(28) + 1, bottom) - np.maximum(np.arange(28), top), 0, 1)
    cols = np.clip(np.minimum(np.arange(28) + 1, right) - np.maximum(np.arange(28), left), 0, 1)
    return np.einsum("tcpq,p,q->t", lost.numpy(), rows, cols)
