"""Grids over images: cells, tokens and places."""

import numpy as np
import pytest

from groundviz.errors import UnsupportedModel
from groundviz.models.adapter.grids import behind, in_cells, in_order, planes, with_tokens
from groundviz.record.geometry import pixel_grid, scale_shift, squeezed


def pixels(rows, cols, **options):
    return pixel_grid((rows, cols), scale_shift((2.0, 2.0)), (2 * rows, 2 * cols), **options)


def test_a_cell_covers_its_pixels_and_what_fills_none_is_left_out():
    [cells] = in_cells([pixels(7, 4)], (3, 2), [(14, 8)], "vision")
    assert (cells.rows, cells.cols, cells.stage) == (2, 2, "vision")
    np.testing.assert_array_equal(cells.to_source, scale_shift((6.0, 4.0)))
    assert cells.valid.all()


def test_tokens_are_dealt_out_in_order_and_cells_without_one_are_not_valid():
    grids = [pixels(2, 2), pixels(1, 2)]
    held = [np.array([False, True, True, True]), np.array([True, True])]
    one, two = with_tokens(grids, np.array([5, 6, 7, 9, 10]), held)
    assert one.positions.tolist() == [-1, 5, 6, 7]
    assert one.valid.tolist() == [[False, True], [True, True]]
    assert two.positions.tolist() == [9, 10]
    assert one.stage == two.stage == "language"


@pytest.mark.parametrize("tokens", [4, 6])
def test_more_or_fewer_tokens_than_cells_are_refused(tokens):
    with pytest.raises(UnsupportedModel, match=f"{tokens} image tokens, and the images have 5 cells"):
        with_tokens([pixels(5, 1)], np.arange(tokens))


def test_planes_stand_colour_by_colour_image_by_image():
    index = planes([pixels(2, 2), pixels(2, 2, image=1)])
    assert index.shape == (1, 8, 3)
    values = np.arange(2 * 3 * 2 * 2)
    stacked = values.reshape(2, 3, 2, 2)
    np.testing.assert_array_equal(values[index[0, :4]], stacked[0].reshape(3, 4).T)
    np.testing.assert_array_equal(values[index[0, 4:]], stacked[1].reshape(3, 4).T)


def test_cells_stand_behind_other_tokens_in_each_image():
    assert behind([pixels(1, 2), pixels(1, 3)], 1).tolist() == [1, 2, 4, 5, 6]
    assert behind([pixels(1, 2)], 0).tolist() == [0, 1]


def test_cells_of_each_image_are_in_view_of_their_own():
    images = [squeezed((4, 4), (8, 8)), pixel_grid((4, 4), scale_shift((2.0, 2.0)), (2, 8), image=1)]
    one, two = in_cells(images, (2, 2), [(8, 8), (2, 8)], "vision")
    assert one.valid.all()
    assert two.valid.tolist() == [[True, True], [False, False]]


def test_what_stands_in_the_order_of_its_grids_is_counted_through():
    images = [pixels(2, 4), pixels(2, 4, image=1)]
    patches = in_cells(images, (1, 2), [(4, 8), (4, 8)], "vision")
    grids = with_tokens(patches, np.arange(7, 15))
    cells = in_order(images, patches, grids, before=1)
    assert cells["pixels"].index.shape == (1, 16, 3)
    assert cells["vision"].index.tolist() == [1, 2, 3, 4, 6, 7, 8, 9]
    assert cells["projector"].index.tolist() == list(range(8))
    assert cells["language"].index.tolist() == list(range(7, 15))
