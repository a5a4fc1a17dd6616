"""Boxes against boxes: areas by counting pixels."""

import numpy as np
import pytest

from groundviz.errors import OptionError
from groundviz.metrics.boxes import BOX_METRICS, box_scores, reader_iou


def drawn(boxes, shape):
    mask = np.zeros(shape, bool)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = True
    return mask


def random_boxes(draw, count):
    corners = np.sort(draw.integers(0, 31, (count, 2, 2)), axis=1)
    corners[:, 1] += 1
    return [[x0, y0, x1, y1] for (x0, y0), (x1, y1) in corners]


def test_unions_are_measured_as_pixels_count_them():
    draw = np.random.default_rng(0)
    for _ in range(200):
        found, truth = random_boxes(draw, draw.integers(1, 4)), random_boxes(draw, draw.integers(1, 4))
        one, other = drawn(found, (32, 32)), drawn(truth, (32, 32))
        scores = box_scores(found, truth, shape=(32, 32))
        iou = (one & other).sum() / (one | other).sum()
        assert list(scores) == list(BOX_METRICS)
        assert scores["box_iou"] == pytest.approx(iou, rel=1e-12)
        assert scores["box_precision"] == pytest.approx((one & other).sum() / one.sum(), rel=1e-12)
        assert scores["box_recall"] == pytest.approx((one & other).sum() / other.sum(), rel=1e-12)
        assert scores["acc@0.3"] == (iou >= 0.3) and scores["acc@0.5"] == (iou >= 0.5)
        assert reader_iou(found, truth, shape=(32, 32)) == pytest.approx(iou, rel=1e-12)
        # 224 is seven times 32: the raster cuts no box.
        assert scores["radfact_spatial"] == ((one & other).sum() / one.sum() >= 0.5)


def test_parts_of_pixels_count():
    scores = box_scores([[0, 0, 0.5, 1]], [[0.25, 0, 1, 1]], shape=(4, 4))
    assert scores["box_iou"] == pytest.approx(0.25)


def test_nothing_predicted_is_a_miss_and_nothing_marked_is_no_score():
    missed = box_scores([], [[0, 0, 2, 2]], shape=(4, 4))
    assert (missed["box_iou"], missed["box_recall"], missed["acc@0.3"]) == (0.0, 0.0, 0.0)
    assert np.isnan(missed["box_precision"]) and np.isnan(missed["radfact_spatial"])
    assert all(np.isnan(value) for value in box_scores([[0, 0, 1, 1]], [], shape=(4, 4)).values())


def test_what_lies_beyond_the_image_does_not_count():
    assert box_scores([[-9, -9, 2, 2]], [[0, 0, 2, 2]], shape=(4, 4))["box_iou"] == 1.0
    with pytest.raises(OptionError, match="outside"):
        box_scores([[9, 9, 12, 12]], [[0, 0, 2, 2]], shape=(4, 4))


@pytest.mark.parametrize(
    ("boxes", "shape", "says"),
    [
        # Their areas would come out as zero.
        ([[0, 0, 1e-300, 1e-300]], (4, 4), "no area"),
        ([[-5, -5, 1e-300, 1e-300]], (4, 4), "outside"),
        ([[0, 0, 1, 1], [0, 1]], (4, 4), "different lengths"),
        ([[0, 0, 1, 1, 0, 0]] * 2, (4, 4), "neither a mask nor boxes"),
        ([[0, 0, 1, 1]], (4, 4, 3), "rows and columns"),
    ],
)
def test_what_is_no_box_is_refused(boxes, shape, says):
    with pytest.raises(OptionError, match=says):
        box_scores(boxes, boxes, shape=shape)


def test_readers_who_marked_nothing():
    mark = np.eye(4, dtype=bool)
    assert reader_iou(mark, np.zeros((4, 4), bool)) == 0.0
    assert np.isnan(reader_iou([], [], shape=(4, 4)))
    with pytest.raises(OptionError, match="one frame"):
        reader_iou(mark, np.eye(5, dtype=bool))
