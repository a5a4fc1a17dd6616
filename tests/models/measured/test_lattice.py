"""Places are divided into views with a lattice each, and what lies on none is refused."""

import numpy as np
import pytest

from groundviz.models.adapter.unmeasurable import Unmeasurable
from groundviz.models.measured.lattice import views


def raster(rows, cols, step, start=(0.0, 0.0)):
    """Centres of cells row by row."""
    row, col = np.divmod(np.arange(rows * cols), cols)
    return (np.stack([row, col], axis=1) + 0.5) * step + start


def seen(*parts):
    at = np.concatenate([one for one, _ in parts])
    size = np.concatenate([np.tile(step, (len(one), 1)) for one, step in parts]).astype(float)
    return at, size, np.zeros(len(at), dtype=int)


def test_one_view_in_any_order_of_its_cells():
    at = raster(4, 6, (10.0, 8.0), (3.0, -2.0))
    order = np.random.default_rng(0).permutation(len(at))
    (view,) = views(*seen((at[order], (10, 8))))
    assert view.size == (4, 6)
    assert view.cells[np.argsort(order)].tolist() == list(range(24))
    np.testing.assert_allclose(view.to_source, [[10, 0, 3], [0, 8, -2]])


def test_tiles_that_fit_are_one_view_and_the_overview_another():
    tiles = [raster(2, 3, (5.0, 5.0), (0.0, 15.0 * tile)) for tile in range(2)]
    overview = raster(2, 3, (5.0, 10.0))
    first, second = views(*seen(*[(tile, (5, 5)) for tile in tiles], (overview, (5, 10))))
    assert (first.size, second.size) == ((2, 6), (2, 3))
    assert first.cells.tolist() == [0, 1, 2, 6, 7, 8, 3, 4, 5, 9, 10, 11]
    assert second.members.tolist() == list(range(12, 18))


def test_the_same_place_twice_is_two_views():
    at = raster(3, 3, (4.0, 4.0))
    first, second = views(*seen((at, (4, 4)), (at, (4, 4))))
    assert first.members.tolist() == list(range(9))
    assert second.members.tolist() == list(range(9, 18))


def test_crops_that_do_not_quite_fit_are_views_of_their_own():
    steps = (7.75, 5.0), (6.0, 5.0)
    crops = [raster(4, 4, steps[0]), raster(4, 4, steps[1], (31.0, 0.0))]
    found = views(*seen(*zip(crops, steps, strict=True)))
    assert [view.size for view in found] == [(4, 4), (4, 4)]
    np.testing.assert_allclose([view.to_source[0, 0] for view in found], [7.75, 6.0])


def test_cells_that_padding_cuts_short_are_in_their_places():
    at, size, image = seen((raster(3, 4, (8.0, 8.0)), (8, 8)))
    last = np.arange(12) % 4 == 3
    # Of the last column only the left half shows the image.
    at[last, 1] -= 2.0
    size[last, 1] = 4.0
    (view,) = views(at, size, image)
    assert view.size == (3, 4)
    np.testing.assert_allclose(view.to_source, [[8, 0, 0], [0, 8, 0]], atol=1e-9)


def test_images_are_kept_apart():
    at, size, _ = seen((raster(2, 2, (5.0, 5.0)), (5, 5)), (raster(2, 2, (5.0, 5.0), (10.0, 0.0)), (5, 5)))
    assert [view.image for view in views(at, size, np.repeat([0, 1], 4))] == [0, 1]


def test_places_at_random_are_on_no_lattice():
    at = np.random.default_rng(1).random((30, 2)) * 50
    with pytest.raises(Unmeasurable, match="no regular rows"):
        views(at, np.full((30, 2), 9.0), np.zeros(30, dtype=int))


def test_tiles_with_rims_are_spaced_as_the_tiles_are():
    """Tiles of 18 with four places of 4 each: as far apart as 4.5, none off by more than half the rim."""
    number = np.arange(12)
    along = number // 4 * 18 + number % 4 * 4 + 2.0
    row, col = np.divmod(np.arange(144), 12)
    at = np.stack([along[row], along[col]], axis=1)
    (view,) = views(*seen((at, (4, 4))))
    assert view.size == (12, 12)
    np.testing.assert_allclose(view.to_source, [[4.5, 0, -1], [0, 4.5, -1]], atol=1e-6)
    off = (number + 0.5) * view.to_source[0, 0] + view.to_source[0, 2] - along
    assert np.abs(off).max() <= 1.0


def test_places_read_between_others_are_even():
    """Twelve rows read at nine places: each is at the nearest row, and none is missing."""
    nearest = np.floor((np.arange(9) + 0.5) * 12 / 9)
    row, col = np.divmod(np.arange(81), 9)
    at = (np.stack([nearest[row], nearest[col]], axis=1) + 0.5) * 3.0
    (holed,) = views(*seen((at, (3, 3))))
    assert holed.size == (12, 12)
    (view,) = views(*seen((at, (3, 3))), resampled={(12, 9)})
    assert view.size == (9, 9)
    np.testing.assert_allclose(view.to_source, [[4, 0, 0], [0, 4, 0]], atol=1e-6)


def test_places_of_different_parts_are_never_one_view():
    at = raster(4, 3, (5.0, 5.0))
    part = np.repeat([0, 1], 6)
    first, second = views(*seen((at, (5, 5))), part)
    assert first.size == second.size == (2, 3)
    assert second.members.tolist() == list(range(6, 12))
