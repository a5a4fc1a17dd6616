"""Pieces of the picture cover it exactly, in view and out of it."""

import numpy as np
import pytest
import torch

from groundviz.errors import UnsupportedMethod
from groundviz.runtime import borrow
from groundviz.runtime.regions import in_pixels, mixed, picture, segments, windows


@pytest.fixture
def live(tiny, study):
    with borrow(tiny) as live:
        live.encode(study, "Is there a nodule?")
        yield live


@pytest.mark.parametrize("stride", [28, 7, 6, 4.3, 1])
def test_cells_share_out_every_pixel(live, stride):
    cells = windows(live, stride=stride)
    everything = cells.spread(torch.ones(1, cells.count))
    torch.testing.assert_close(everything, torch.ones(1, 1, 28, 28), atol=1e-5, rtol=0)
    each = cells.spread(torch.eye(cells.count))
    np.testing.assert_allclose(each.sum((1, 2, 3)), 28 * 28 / cells.count, rtol=1e-4)


def test_spreading_is_linear_in_the_weights(live):
    cells, weights = windows(live, stride=7, window=12), torch.randn(2, 16)
    each = cells.spread(torch.eye(16))[:, 0]
    torch.testing.assert_close(cells.spread(weights)[:, 0], torch.einsum("bk,kpq->bpq", weights, each))


def test_labels_are_numbered_without_gaps(live):
    labels = np.full((28, 28), 40)
    labels[:, 10:] = 7
    pieces = segments(live, labels)
    assert pieces.count == 2
    shares = pieces.spread(torch.tensor([[2.0, 3.0]]))[0, 0]
    assert (shares[:, 10:] == 2.0).all()
    assert (shares[:, :10] == 3.0).all()


def test_what_is_out_of_view_belongs_to_no_piece(tiny, study):
    if tiny.processor.image_processor.size.get("height"):
        pytest.skip("a squashed picture has no padding")
    tiny.processor.image_processor.size = {"shortest_edge": 14}
    with borrow(tiny) as live:
        live.encode(study, "Is there a nodule?")
        cells = windows(live, stride=7)
        assert cells.count == 8
        pieces = segments(live, np.zeros((28, 28), int))
        assert pieces.count == 1
        shares = pieces.spread(torch.ones(1, 1))[0, 0].numpy()
        np.testing.assert_array_equal(shares > 0, live.grids(live.site("pixels"))[0].valid)
        grid, values = pieces.drawn(torch.tensor([[5.0]]))
    np.testing.assert_array_equal(np.isfinite(values[0]).reshape(28, 28), grid.valid)


def test_a_part_of_the_values_is_drawn_and_the_rest_is_unknown(live):
    grid, values = windows(live, stride=7).drawn(torch.arange(6.0).reshape(3, 2))
    np.testing.assert_array_equal(values[:, :3], [[0, 2, 4], [1, 3, 5]])
    assert np.isnan(values[:, 3:]).all()
    assert grid.valid.sum() == 3


def test_mixing_keeps_the_dtype_and_both_ends(live):
    pixels, _ = picture(live)
    half = pixels.to(torch.bfloat16)
    share = torch.zeros(2, 1, 28, 28)
    share[1] = 1.0
    found = mixed(half, torch.zeros_like(half), share)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found[0], half[0])
    assert (found[1] == 0).all()


def test_lengths_up_to_one_are_shares(live):
    assert in_pixels(live, 0.5) == 14.0
    assert in_pixels(live, 1) == 28.0
    assert in_pixels(live, 9) == 9.0


def test_several_tiles_are_refused_rather_than_mixed_up(live, monkeypatch):
    (grid,) = live.grids(live.site("pixels"))
    monkeypatch.setattr(type(live), "grids", lambda self, site: (grid, grid))
    with pytest.raises(UnsupportedMethod, match="2 tiles"):
        picture(live)
