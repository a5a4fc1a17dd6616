"""Contours from elsewhere lie where their mask or box lies, or are refused."""

import numpy as np
import pytest
from matplotlib.path import Path

from groundviz.errors import ImageError, UnknownName
from groundviz.render.base.contours import lines, outlines
from tests.support import records

SOURCE_IMAGE = records.source_image(20, 30)
CENTRES = np.stack(np.meshgrid(np.arange(20) + 0.5, np.arange(30) + 0.5, indexing="ij"), axis=-1).reshape(
    -1, 2
)


def _inside(line) -> np.ndarray:
    return Path(line).contains_points(CENTRES).reshape(20, 30)


def _mask(rows: slice, cols: slice) -> np.ndarray:
    mask = np.zeros((20, 30), bool)
    mask[rows, cols] = True
    return mask


@pytest.mark.parametrize("mask", [_mask(slice(3, 9), slice(5, 6)), _mask(slice(0, 4), slice(20, 30))])
def test_a_line_around_a_mask_holds_its_pixels_and_no_other_at_the_border_too(mask):
    (line,) = lines(mask, [SOURCE_IMAGE])[0]
    assert np.array_equal(_inside(line), mask)
    assert np.array_equal(line[0], line[-1])
    assert line.min() >= 0
    assert (line <= (20, 30)).all()


def test_every_part_of_every_mask_has_a_line():
    one = _mask(slice(2, 5), slice(2, 5)) | _mask(slice(10, 14), slice(20, 25))
    other = _mask(slice(15, 18), slice(3, 9))
    found = lines(np.stack([one, other]), [SOURCE_IMAGE])[0]
    assert len(found) == 3
    assert np.array_equal(np.logical_or.reduce([_inside(line) for line in found]), one | other)
    assert lines(np.zeros((20, 30), bool), [SOURCE_IMAGE]) == {0: []}


def test_boxes_are_top_left_bottom_right_in_pixels():
    boxes = [(3, 5, 9, 6), (0.5, 20, 4, 30)]
    found = lines(boxes, [SOURCE_IMAGE])[0]
    assert np.array_equal(_inside(found[0]), _mask(slice(3, 9), slice(5, 6)))
    assert [line.max(axis=0).tolist() for line in found] == [[9, 6], [4, 30]]
    assert np.array_equal(lines(boxes[0], [SOURCE_IMAGE])[0][0], found[0])


def test_contours_belong_to_the_first_image_the_one_shown_or_the_one_they_name():
    both = [SOURCE_IMAGE, records.source_image(8, 8)]
    box = (1, 2, 3, 4)
    assert list(lines(box, both)) == [0]
    assert list(lines(box, both, 1)) == [1]
    assert sorted(lines({1: np.ones((8, 8), bool), 0: box}, both)) == [0, 1]
    assert lines(None, both) == {}


@pytest.mark.parametrize(
    "wrong",
    [
        np.ones((30, 20), bool),
        np.ones((20, 30)),
        (1, 2, 3),
        (1, 2, 3, float("nan")),
        np.ones((2, 2, 4)),
        "box",
        ["a", "b", "c", "d"],
    ],
)
def test_what_is_no_mask_of_the_image_and_no_box_is_refused(wrong):
    with pytest.raises(ImageError, match=r"20 by 30 pixels\. Give a bool mask"):
        lines(wrong, [SOURCE_IMAGE])


def test_an_image_that_is_not_there_is_named():
    with pytest.raises(UnknownName, match="no image 2 to draw contours on: there are 1"):
        lines({2: (1, 2, 3, 4)}, [SOURCE_IMAGE])


def test_outlines_keep_their_names_and_images():
    mask = _mask(slice(3, 9), slice(5, 8))
    found = outlines(
        {0: {"nodule": mask, "two": [(0, 0, 2, 2), (4, 4, 6, 6)]}, 1: (1, 1, 3, 3)},
        [SOURCE_IMAGE, SOURCE_IMAGE],
    )
    assert [(one.name, one.image) for one in found] == [
        ("nodule", 0),
        ("two 1", 0),
        ("two 2", 0),
        ("Outline 4", 1),
    ]
    assert np.array_equal(found[0].mask, mask)
    assert int(found[3].mask.sum()) == 4


def test_one_table_by_name_is_about_the_first_image():
    (one,) = outlines({"nodule": (2, 3, 5, 9)}, [SOURCE_IMAGE, SOURCE_IMAGE])
    assert (one.name, one.image) == ("nodule", 0)
    assert np.array_equal(one.mask, _mask(slice(2, 5), slice(3, 9)))
    assert len(lines({"nodule": (2, 3, 5, 9)}, [SOURCE_IMAGE])[0]) == 1
