"""Boxes lie around the strongest cells, in pixels of the source image, as COCO's own tools read them."""

import json
from dataclasses import replace

import numpy as np
import pytest

from groundviz.errors import OptionError
from groundviz.explanation import Explanation
from groundviz.record.exports.boxes import Strong, boxes
from groundviz.record.types import Heatmap
from tests.support import records

BOX = (10, 20, 90, 140)


def heatmap(values: object) -> Heatmap:
    """A map of 4 by 6 cells of 20 by 20 pixels each, whose first cell begins at row 10 and column 20."""
    grid = records.grid_over(BOX, (4, 6))
    one = records.record_of([records.source_image(96, 144)], [grid])
    found = one.heatmaps[0].at(one.target)
    return replace(found, values=np.asarray(values, np.float32))


def cells(**places: float) -> np.ndarray:
    """Zeros, but for cells named r<row>c<column>."""
    values = np.zeros((4, 6))
    for place, value in places.items():
        row, col = place[1:].split("c")
        values[int(row), int(col)] = value
    return values


def test_the_fewest_cells_that_hold_the_share_are_strong():
    one = heatmap(cells(r0c0=5, r1c1=3, r2c2=2))
    assert np.argwhere(Strong(share=0.5).cells(one)).tolist() == [[0, 0]]
    assert np.argwhere(Strong(share=0.51).cells(one)).tolist() == [[0, 0], [1, 1]]
    assert Strong(share=1.0).cells(one).sum() == 3


def test_cells_as_high_as_the_last_one_count_too():
    assert Strong(share=0.1).cells(heatmap(cells(r0c0=1, r3c5=1))).sum() == 2


def test_what_speaks_against_the_target_is_not_strong():
    one = heatmap(cells(r0c0=1, r3c5=-9))
    assert np.argwhere(Strong(share=1.0).cells(one)).tolist() == [[0, 0]]


@pytest.mark.parametrize("values", [np.zeros((4, 6)), np.full((4, 6), 0.25), np.full((4, 6), np.nan)])
def test_a_map_that_is_the_same_everywhere_has_no_box(values):
    assert boxes(heatmap(values), Strong(), (96, 144)) == []


def test_a_threshold_counts_in_raw_values():
    one = heatmap(cells(r0c0=5, r1c1=3, r2c2=2))
    assert Strong(threshold=3.0).cells(one).sum() == 2
    assert not Strong(threshold=6.0).cells(one).any()


def test_cells_that_touch_share_a_box_with_their_highest_value():
    one = heatmap(cells(r0c0=2, r0c1=4, r1c1=2, r3c5=8))
    far, near = boxes(one, Strong(share=1.0), (96, 144))
    assert (far.x, far.y, far.width, far.height) == (120.0, 70.0, 20.0, 20.0)
    assert (near.x, near.y, near.width, near.height) == (20.0, 10.0, 40.0, 40.0)
    assert (far.score, near.score) == (8.0, 4.0)
    assert (far.mass, near.mass) == (0.5, 0.5)


def test_cells_that_meet_at_a_corner_alone_have_two_boxes():
    assert len(boxes(heatmap(cells(r0c0=1, r1c1=1)), Strong(share=1.0), (96, 144))) == 2


def test_no_box_leaves_the_image():
    one = heatmap(cells(r3c5=1, r0c2=1))
    found = boxes(one, Strong(share=1.0), (85, 132))
    edges = [(box.x + box.width, box.y + box.height) for box in found]
    assert max(edge[0] for edge in edges) == 132.0
    assert max(edge[1] for edge in edges) == 85.0
    # A cell on padding alone shows nothing.
    assert boxes(heatmap(cells(r3c5=1)), Strong(), (60, 100)) == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"share": 0.0}, "share is 0.0"),
        ({"share": 1.5}, "share is 1.5"),
        ({"threshold": 0.0}, "threshold is 0.0"),
        ({"threshold": float("nan")}, "threshold is nan"),
    ],
)
def test_what_no_cell_could_be_is_refused(given, words):
    with pytest.raises(OptionError, match=words):
        Strong(**given)


def test_cocos_own_tools_read_the_file(tmp_path, capsys):
    coco = pytest.importorskip("pycocotools.coco", reason="not installed: pycocotools")
    held = Explanation(records.pair())
    (path,) = held.export(tmp_path / "boxes.json", share=0.3)
    data = coco.COCO(str(path))
    assert sorted(data.getImgIds()) == [0, 1]
    assert [one["width"] for one in data.loadImgs([0, 1])] == [96, 120]
    names = {one["name"] for one in data.loadCats(data.getCatIds())}
    target = "nodule in the left upper zone."
    assert names == {f"{method}: {target}" for method in held.methods}
    document = json.loads(path.read_text())
    # The annotations by themselves are what COCO calls results; every one finds itself again.
    results = data.loadRes(document["annotations"])
    assert len(results.getAnnIds()) == len(document["annotations"]) > 0
    evaluated = pytest.importorskip("pycocotools.cocoeval").COCOeval(data, results, "bbox")
    evaluated.evaluate()
    evaluated.accumulate()
    evaluated.summarize()
    assert evaluated.stats[0] == pytest.approx(1.0)
    # And a mask of each box has the box's size.
    annotation = document["annotations"][0]
    assert data.annToMask(annotation).sum() == pytest.approx(annotation["area"], rel=0.2)
    capsys.readouterr()


def test_each_box_says_what_it_is_of(tmp_path):
    (path,) = Explanation(records.tiled()).export(tmp_path / "boxes.json", "occlusion", ["nodule"])
    document = json.loads(path.read_text())
    one = document["annotations"][0]
    assert (one["unit"], one["method"], one["target"]) == ("Δ log-prob", "occlusion", "nodule")
    assert {each["tile"] for each in document["annotations"]} == {"overview", "tiles"}
    assert len(one["bbox"]) == 4
    assert one["score"] > 0
    assert [image["file_name"] for image in document["images"]] == ["image-0.png"]


def test_the_file_says_whether_maps_are_to_be_believed(tmp_path):
    record = records.checked(records.record(), "no", occlusion="shown")
    (path,) = Explanation(record).export(tmp_path / "boxes.json", "occlusion", ["nodule"])
    told = json.loads(path.read_text())["info"]["evidence"]
    assert (told["occlusion"]["needs_image"], told["occlusion"]["marked_place"]) == ("no", "shown")
    assert told["occlusion"]["verdict"].startswith("This answer does not need this image")
    assert told["attention"]["marked_place"] == "not measured"
