"""The place a map marks: how large it is, where it is moved, and what is covered."""

import numpy as np
import pytest
import torch

import groundviz
from groundviz import models
from groundviz.errors import UnsupportedMethod
from groundviz.evidence.toolkit import covering
from groundviz.methods.toolkit.regions import Canvas
from groundviz.record.geometry import squeezed
from groundviz.record.types import Heatmap, Target
from groundviz.runtime import borrow

SIDE = 28


def canvas(size=(SIDE, SIDE), shape=(56, 56)):
    grid = squeezed(size, shape)
    return Canvas(grid, torch.arange(size[0] * size[1]))


def heatmap(values, shape=(56, 56)):
    values = np.asarray(values, dtype=np.float32)
    grid = squeezed(values.shape, shape)
    return Heatmap(
        values=values, grid=grid, target=Target(tokens=(0,), text="x"), method="m", unit="nats", signed=True
    )


def lattice(values):
    return covering._lattice(canvas(), [heatmap(values)])


def test_a_lattice_has_the_cells_of_its_map():
    values = np.random.default_rng(0).random((14, 14))
    assert np.allclose(
        lattice(values).values / lattice(values).values.sum(), values / values.sum(), atol=1e-6
    )


def test_what_speaks_against_the_answer_marks_nothing():
    values = np.full((14, 14), -1.0)
    values[3, 4] = 2.0
    found = lattice(values).values
    assert np.flatnonzero(found).tolist() == [3 * 14 + 4]


def test_pixels_are_added_up_to_cells():
    values = np.zeros((56, 56))
    values[10, 20] = 1.0
    part = covering._lattice(canvas((56, 56)), [heatmap(values)])
    assert part.values.shape == (32, 32)
    assert (part.values > 0).sum() == 1


def test_tiles_that_show_the_same_place_add_up():
    values = np.zeros((14, 14))
    values[0, 0] = 1.0
    one = covering._lattice(canvas(), [heatmap(values)])
    two = covering._lattice(canvas(), [heatmap(values), heatmap(values)])
    assert np.allclose(two.values, 2 * one.values)


def test_areas_hold_shares_of_the_mass_within_bounds():
    values = np.zeros((14, 14))
    values.reshape(-1)[:40] = 1.0
    quarter, half, most = (int(places[0].sum()) for places in covering.marked([lattice(values)]))
    assert (quarter, half, most) == (10, 19, 19)
    values[:] = 0
    values[5, 5] = 1.0
    assert [int(places[0].sum()) for places in covering.marked([lattice(values)])] == [2, 4, 6]


def test_copies_are_moved_far_enough_and_never_alike():
    part = lattice(np.random.default_rng(1).random((14, 14)))
    steps = [by[0] for by in covering.moves([part], 99, np.random.default_rng(0))]
    assert len(set(steps)) == 99
    for down, right in steps:
        assert np.hypot(min(down, 14 - down), min(right, 14 - right)) >= 3


def test_a_map_of_few_cells_has_no_room_for_copies():
    with pytest.raises(UnsupportedMethod, match="4 by 4 cells"):
        covering.moves([lattice(np.ones((4, 4)))], 19, np.random.default_rng(0))


def test_the_pixels_of_a_cell_are_covered_and_no_others():
    part = lattice(np.ones((14, 14)))
    chosen = np.zeros((1, 14, 14), dtype=bool)
    chosen[0, 2, 13] = True
    share = part.spread(chosen).reshape(SIDE, SIDE).numpy()
    expected = np.zeros((SIDE, SIDE))
    expected[4:6, 26:28] = 1
    assert np.array_equal(share, expected)


def test_a_moved_copy_has_the_same_shape():
    places = covering.marked([lattice(np.random.default_rng(2).random((14, 14)))])
    for copy in covering.copies_of([lattice(np.ones((14, 14)))], places, 19, np.random.default_rng(0)):
        assert copy[0].shape == (14, 14)
        assert copy[0].sum() in {int(one[0].sum()) for one in places}


def test_every_tile_of_an_image_loses_what_is_covered(wide_image):
    from groundviz.testing.families.llava_next import tiny_llava_next

    model, processor = tiny_llava_next()
    vlm = models.resolve(model, processor)
    explained = groundviz.explain(vlm, wide_image, "Is there a nodule?", methods="attention", evidence=None)
    with borrow(vlm) as live:
        live.encode(explained.source_images, "Is there a nodule?")
        parts = covering.lattices(live, explained.heatmaps("attention"))
        whole = [tuple(np.ones((1, *part.values.shape), bool)[0] for part in parts)]
        share = covering.coverer(parts, whole)(slice(0, 1))
        shows = torch.cat(
            [torch.from_numpy(grid.valid.reshape(-1)) for grid in live.grids(live.site("pixels"))]
        )
    assert len(explained.heatmaps("attention")) > 1
    assert share[0, :, 0][shows].min() == 1


@pytest.fixture
def wide_image():
    return np.random.default_rng(0).integers(0, 255, (60, 120), dtype=np.uint8)
