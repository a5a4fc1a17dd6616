"""Pieces of the image cover it exactly, in view and out of it."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from groundviz.methods.toolkit.regions import canvases, in_pixels, mixed, segments, windows
from groundviz.record.geometry import apply, compose, scale_shift
from groundviz.runtime import borrow


@pytest.fixture
def live(tiny, source_image):
    with borrow(tiny) as live:
        live.encode(source_image, "Is there a nodule?")
        yield live


@pytest.mark.parametrize("stride", [28, 7, 6, 4.3, 1])
def test_cells_share_out_every_pixel(live, stride):
    cells = windows(live, only(live), stride=stride)
    everything = cells.spread(torch.ones(1, cells.count))
    torch.testing.assert_close(everything, torch.ones(1, 28, 28), atol=1e-5, rtol=0)
    each = cells.spread(torch.eye(cells.count))
    np.testing.assert_allclose(each.sum((1, 2)), 28 * 28 / cells.count, rtol=1e-4)


def test_spreading_is_linear_in_the_weights(live):
    cells, weights = windows(live, only(live), stride=7, window=12), torch.randn(2, 16)
    each = cells.spread(torch.eye(16))
    torch.testing.assert_close(cells.spread(weights), torch.einsum("bk,kpq->bpq", weights, each))


def test_labels_are_numbered_without_gaps(live):
    labels = np.full((28, 28), 40)
    labels[:, 10:] = 7
    pieces = segments(only(live), labels)
    assert pieces.count == 2
    shares = pieces.spread(torch.tensor([[2.0, 3.0]]))[0]
    assert (shares[:, 10:] == 2.0).all()
    assert (shares[:, :10] == 3.0).all()


def test_what_is_out_of_view_belongs_to_no_piece(tiny, source_image):
    if tiny.processor.image_processor.size.get("height"):
        pytest.skip("a squashed image has no padding")
    tiny.processor.image_processor.size = {"shortest_edge": 14}
    with borrow(tiny) as live:
        live.encode(source_image, "Is there a nodule?")
        cells = windows(live, only(live), stride=7)
        assert cells.count == 8
        pieces = segments(only(live), np.zeros((28, 28), int))
        assert pieces.count == 1
        shares = pieces.spread(torch.ones(1, 1))[0].numpy()
        np.testing.assert_array_equal(shares > 0, live.grids(live.site("pixels"))[0].valid)
        grid, values = pieces.drawn(torch.tensor([[5.0]]))
    np.testing.assert_array_equal(np.isfinite(values[0]).reshape(28, 28), grid.valid)


def test_a_part_of_the_values_is_drawn_and_the_rest_is_unknown(live):
    grid, values = windows(live, only(live), stride=7).drawn(torch.arange(6.0).reshape(3, 2))
    np.testing.assert_array_equal(values[:, :3], [[0, 2, 4], [1, 3, 5]])
    assert np.isnan(values[:, 3:]).all()
    assert grid.valid.sum() == 3


def test_mixing_keeps_the_dtype_and_both_ends(live):
    half = live.read(live.site("pixels")).to(torch.bfloat16)
    share = torch.zeros(2, 784, 1)
    share[1] = 1.0
    found = mixed(half, torch.zeros_like(half), share)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found[0], half[0])
    assert (found[1] == 0).all()


def test_lengths_up_to_one_are_shares(live):
    canvas = only(live)
    assert in_pixels(canvas, 0.5) == 14.0
    assert in_pixels(canvas, 1) == 28.0
    assert in_pixels(canvas, 9) == 9.0


def test_a_strip_has_no_more_windows_than_eight_squares():
    assert in_pixels(SimpleNamespace(size=(10, 80)), 0.5) == 5.0
    # As Pix2Struct sees one row of 5000 pixels.
    assert in_pixels(SimpleNamespace(size=(16, 32_768)), 1 / 16) == 256.0
    assert in_pixels(SimpleNamespace(size=(32_768, 16)), 9) == 9.0


def test_one_image_is_its_own_canvas(live):
    canvas = only(live)
    assert canvas.grid is live.grids(live.site("pixels"))[0]
    share = torch.rand(2, 28, 28)
    assert torch.equal(canvas.onto(share)[..., 0].reshape(2, 28, 28), share)


def test_what_several_images_show_is_cut_out_of_all_of_them(live, monkeypatch):
    """An overview, and a tile of its lower right quarter in twice as many pixels."""
    (whole,) = live.grids(live.site("pixels"))
    half = compose(whole.to_source, scale_shift((0.5, 0.5), (14.0, 14.0)))
    tile = replace(whole, to_source=half)
    monkeypatch.setattr(type(live), "grids", lambda self, site: (whole, tile))
    (canvas,) = canvases(live)
    rows, cols = canvas.size
    share = torch.zeros(1, rows, cols)
    share[:, rows * 5 // 8 :, cols * 5 // 8 :] = 1.0
    overview, detail = canvas.onto(share)[0, :, 0].reshape(2, 28, 28)
    edge = live.source_images[0].shape[0] * 5 / 8
    at = apply(whole.to_source, np.array([[r + 0.5, 14.5] for r in range(28)]))[:, 0]
    inside = at < live.source_images[0].shape[0]
    assert ((overview[:, 27] > 0).numpy() == ((at > edge) & inside))[np.abs(at - edge) > 1].all()
    at = apply(half, np.array([[r + 0.5, 14.5] for r in range(28)]))[:, 0]
    inside = at < live.source_images[0].shape[0]
    assert ((detail[:, 20] > 0).numpy() == ((at > edge) & inside))[np.abs(at - edge) > 1].all()


def only(live):
    (canvas,) = canvases(live)
    return canvas
