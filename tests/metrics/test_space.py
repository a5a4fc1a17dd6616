"""Maps and references in one space: areas by counting fine pixels, images by torch's own interpolation."""

import numpy as np
import pytest
import torch

from groundviz.errors import OptionError, UnknownName
from groundviz.metrics import METRICS, box_mask, measure, place, score
from groundviz.record.types import Grid, Heatmap, Target

TARGET = Target(tokens=(0,), text="nodule")


def heatmap(values, to_source, *, positions=None, valid=None, image=0):
    values = np.asarray(values, np.float32)
    if positions is None:
        positions = np.where(np.isnan(values).ravel(), -1, np.arange(values.size))
    if valid is None:
        valid = np.ones(values.shape, bool)
    grid = Grid(
        rows=values.shape[0],
        cols=values.shape[1],
        positions=positions,
        to_source=np.asarray(to_source, float),
        valid=valid,
        stage="language",
        image=image,
    )
    return Heatmap(values=values, grid=grid, target=TARGET, method="x", unit="1", signed=False)


def by_counting(one, mask, fine=20):
    """The covered and the shown share of each cell, from fine sub-pixels of the cell."""
    covered, shown = np.zeros(one.values.shape), np.zeros(one.values.shape)
    for row, col in np.ndindex(*one.values.shape):
        for i, j in np.ndindex(fine, fine):
            at = np.array([row + (i + 0.5) / fine, col + (j + 0.5) / fine, 1.0])
            y, x = np.floor(one.grid.to_source @ at).astype(int)
            if 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1]:
                shown[row, col] += 1 / fine**2
                covered[row, col] += mask[y, x] / fine**2
    return covered, shown


def test_on_the_grid_cells_weigh_by_area_and_padding_counts_nowhere():
    draw = np.random.default_rng(1)
    mask = draw.random((10, 12)) < 0.4
    # Cells of 2.5 by 2 pixels; the last row begins at 8.5 and reaches beyond the image.
    one = heatmap(draw.random((4, 5)), [[2.5, 0, 1.0], [0, 2.0, 0.0]])
    covered, shown = by_counting(one, mask)
    cells = place(one, mask)
    np.testing.assert_allclose(cells.inside, covered.ravel(), atol=1e-9)
    np.testing.assert_allclose(cells.area, shown.ravel(), atol=1e-9)
    assert shown[3, 0] == pytest.approx(0.6)
    # The top pixel row and the two columns at the right are shown by no cell.
    assert cells.outside == pytest.approx(1 - mask[1:, :10].sum() / mask.sum())


def test_cells_without_a_token_or_without_the_image_do_not_count():
    values = np.array([[1.0, np.nan], [5.0, 2.0]])
    valid = np.array([[True, True], [False, True]])
    cells = place(heatmap(values, [[2, 0, 0], [0, 2, 0]], valid=valid), np.ones((4, 4), bool))
    assert cells.values.tolist() == [1.0, 2.0]
    assert cells.outside == 0.5


def test_image_space_is_bilinear_as_torch_makes_it():
    draw = np.random.default_rng(2)
    for shape in ((12, 20), (9, 7)):
        values = draw.random((3, 4)).astype(np.float32)
        mask = draw.random(shape) < 0.5
        expected = torch.nn.functional.interpolate(
            torch.tensor(values)[None, None], size=shape, mode="bilinear", align_corners=False
        )[0, 0]
        cells = place(values, mask, space="image")
        np.testing.assert_allclose(cells.values.reshape(shape), expected, atol=1e-6)
        assert cells.inside.tolist() == mask.ravel().tolist()


def test_image_space_leaves_out_what_the_model_did_not_see():
    one = heatmap(np.ones((2, 2)) * [[1, 2], [3, 4]], [[2, 0, 2], [0, 2, 0]])
    mask = np.zeros((8, 6), bool)
    mask[:4, :2] = True
    cells = place(one, mask, space="image")
    assert cells.values.size == 16
    assert cells.inside.sum() == 4
    assert cells.outside == 0.5


def test_an_array_covers_the_whole_image():
    mask = box_mask([[0, 0, 2, 4]], (4, 8))
    cells = place(np.arange(8.0).reshape(2, 4), mask)
    assert cells.inside.reshape(2, 4).tolist() == [[1, 0, 0, 0], [1, 0, 0, 0]]
    same = place(np.arange(32.0).reshape(4, 8), mask)
    assert same.inside.tolist() == mask.ravel().tolist()


def test_masks_and_boxes_are_the_same_reference():
    values = np.random.default_rng(3).random((5, 5))
    boxes = [[1, 2, 6, 9], [4, 0, 10, 3]]
    mask = np.zeros((10, 10), bool)
    mask[2:9, 1:6] = mask[0:3, 4:10] = True
    for space in ("grid", "image"):
        assert score(values, boxes, shape=(10, 10), space=space) == score(values, mask, space=space)


def test_boxes_are_left_top_right_bottom_and_never_vanish():
    assert np.argwhere(box_mask([[3, 1, 5, 2]], (4, 6))).tolist() == [[1, 3], [1, 4]]
    assert box_mask([[0.4, 0.4, 0.6, 0.6]], (1, 1)).all()
    assert box_mask([[-5, -5, 1, 1]], (3, 3)).sum() == 1
    assert not box_mask([], (3, 3)).any()


def test_tiles_and_an_overview_are_added_up_by_area():
    # Two tiles of two by two cells beside each other, and an overview of one cell for each tile.
    left = heatmap([[1, 2], [3, 4]], [[2, 0, 0], [0, 2, 0]])
    right = heatmap([[5, 6], [7, 8]], [[2, 0, 0], [0, 2, 4]])
    whole = heatmap([[10, 20]], [[4, 0, 0], [0, 4, 0]])
    mask = np.zeros((4, 8), bool)
    mask[:2, :2] = True
    together = place([left, right, whole], mask, space="image").values.reshape(4, 8)
    tiles = np.hstack(
        [place(one, np.ones((4, 8), bool), space="image").values.reshape(4, 4) for one in (left, right)]
    )
    overview = place(whole, mask, space="image").values.reshape(4, 8)
    np.testing.assert_allclose(together, tiles + overview / 4, rtol=1e-6)
    with pytest.raises(OptionError, match='space="image"'):
        place([left, right], mask)
    with pytest.raises(OptionError, match="2 images"):
        place([left, heatmap([[1, 2]], [[4, 0, 0], [0, 4, 0]], image=1)], mask, space="image")


def test_the_ceiling_is_the_best_of_all_selections_of_cells():
    draw = np.random.default_rng(4)
    for _ in range(30):
        mask = draw.random((4, 6)) < 0.4
        if not mask.any():
            continue
        blocks = mask.reshape(2, 2, 3, 2).sum(axis=(1, 3)).ravel()
        best = 0.0
        for chosen in range(1, 2**6):
            picked = [(chosen >> cell) & 1 for cell in range(6)]
            both, area = blocks @ picked, 4 * sum(picked)
            best = max(best, both / (area + mask.sum() - both))
        for space in ("grid", "image"):
            assert place(draw.random((2, 3)), mask, space=space).ceiling == pytest.approx(best)


def test_flags_say_why_a_map_or_a_reference_tells_nothing():
    mask = np.zeros((4, 4), bool)
    mask[0, 0] = True
    square = [[2, 0, 0], [0, 2, 0]]
    everywhere = np.arange(4)
    maps = [
        ("constant map", heatmap(np.full((2, 2), 0.3), square)),
        ("map without values", heatmap(np.full((2, 2), np.nan), square, positions=everywhere)),
        # Of an array no grid tells which cells should hold a value.
        ("map without values", np.full((2, 2), np.nan)),
        ("map not finite", heatmap([[1, np.nan], [0, 2]], square, positions=everywhere)),
    ]
    for space in ("grid", "image"):
        for flag, one in maps:
            found = measure(one, mask, space=space, metrics=["pointing", "energy", "auroc", "iou_ceiling"])
            assert {each.flag for each in found} == {flag}
            assert [each.value for each in found[:3]] == pytest.approx([1 / 16, 1 / 16, 0.5])
        (infinite,) = measure(heatmap([[1, np.inf], [0, 2]], square), mask, space=space, metrics=["pointing"])
        assert (infinite.flag, infinite.value) == ("map not finite", 1 / 16)
        good = heatmap([[1, 3], [0, 2]], square)
        (empty,) = measure(good, np.zeros((4, 4), bool), space=space, metrics=["ap"])
        assert (empty.flag, np.isnan(empty.value)) == ("empty reference", True)
        unseen = np.zeros((4, 9), bool)
        unseen[:, 7:] = True
        away, outside = measure(good, unseen, space=space, metrics=["ap", "reference_outside"])
        assert (away.flag, np.isnan(away.value)) == ("reference outside the view", True)
        assert outside.value == 1.0
        full = measure(good, np.ones((4, 4), bool), space=space, metrics=["auroc", "ap", "cnr"])
        assert [one.flag for one in full] == [
            "reference fills the view",
            "",
            "reference fills the view, or no spread on either side",
        ]
        assert full[1].value == 1.0


def test_names_of_numbers_carry_their_rules():
    values, mask = np.eye(4), np.eye(4, dtype=bool)
    found = measure(values, mask, metrics=["iou", "iou@otsu", "dice@quantile:0.900", "ap"])
    assert [one.name for one in found] == ["iou@mass:0.5", "iou@otsu", "dice@quantile:0.9", "ap"]
    assert [one.variant for one in found] == ["mass:0.5", "otsu", "quantile:0.9", ""]
    with pytest.raises(OptionError, match="cuts no map"):
        measure(values, mask, metrics=["ap@otsu"])
    with pytest.raises(UnknownName, match="pointing"):
        measure(values, mask, metrics=["pointin"])


@pytest.mark.parametrize(
    ("reference", "shape", "says"),
    [
        ([[0, 0, 2, 2]], None, "Give shape"),
        ([[2, 0, 1, 2]], (4, 4), "no widths"),
        ([[8, 8, 9, 9]], (4, 4), "outside an image"),
        ([[0, 0, np.nan, 2]], (4, 4), "no area"),
        (np.ones((3, 3), bool), (4, 4), "does not fit"),
        (np.ones((4, 4)) * 0.5, (4, 4), "no area"),
        (np.ones((3, 3)), (4, 4), "neither a mask nor boxes"),
        (np.ones((3, 3, 3), bool), None, "does not fit"),
        ([[0, 0, 1, 1], [0, 1]], (4, 4), "different lengths"),
        ([["a", 0, 1, 1]], (4, 4), "something else"),
        ([[0, 0, 1e-300, 1e-300]], (4, 4), "no area"),
        ([[0, 0, 1, 1]], (4, 4, 3), r"\(4, 4, 3\): expected its rows and columns"),
        ([[0, 0, 1, 1]], (4,), "expected its rows and columns"),
        ([[0, 0, 1, 1]], (4, 2.5), "expected its rows and columns"),
        ([[0, 0, 1, 1]], (4, 0), "expected its rows and columns"),
        (np.ones((4, 4), bool), (4, 4, 3), "expected its rows and columns"),
    ],
)
def test_a_reference_that_does_not_fit_is_refused(reference, shape, says):
    with pytest.raises(OptionError, match=says):
        score(np.eye(4), reference, shape=shape)


@pytest.mark.parametrize("maps", [np.ones(3), np.array([["a"]]), [], np.ones((0, 3)), None])
def test_what_is_no_map_is_refused(maps):
    with pytest.raises(OptionError, match="A map must be"):
        score(maps, np.ones((3, 3), bool))


def test_there_are_two_spaces():
    with pytest.raises(OptionError, match="grid, image"):
        score(np.eye(3), np.eye(3, dtype=bool), space="token")


def test_densities_and_regions_are_not_mixed_up():
    with pytest.raises(OptionError, match="compares a map with a density"):
        score(np.eye(3), np.eye(3, dtype=bool), metrics=["ncc"])
    with pytest.raises(OptionError, match="compares a map with a region"):
        score(np.eye(3), np.eye(3), metrics=["ap"], density=True)
    with pytest.raises(OptionError, match="not below 0"):
        score(np.eye(3), -np.eye(3), density=True)


def test_a_metric_of_another_package_is_given_arrays():
    METRICS.add(
        "largest_inside", lambda values, coverage, valid: float(coverage[np.argmax(values)]), shows="x"
    )
    try:
        (found,) = measure(np.array([[0.0, 1.0]]), np.array([[False, True]]), metrics=["largest_inside"])
        assert (found.value, np.isnan(found.chance)) == (1.0, True)
    finally:
        METRICS._entries.pop("largest_inside"), METRICS._facts.pop("largest_inside")
