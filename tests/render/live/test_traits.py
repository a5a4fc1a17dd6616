"""A browser changes what its controls change, to values that these can take, and nothing else."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from groundviz.explanation import Explanation
from groundviz.render.base.contours import outlines
from groundviz.render.live import traits
from groundviz.render.viewer import assets
from tests.support import records

pytest.importorskip("anywidget", reason="not installed: anywidget")

RECORD = records.asked(records.record(48, 40, cells=4))
MASK = np.eye(48, 40, dtype=bool)
GOOD = {
    "selected": [0, 2, -2],
    "part": 1,
    "method": "occlusion",
    "compare": ["attention"],
    "difference": True,
    "pins": [[1], [2, 3]],
    "rois": [{"image": 0, "x0": 1, "y0": 2.5, "x1": 40, "y1": 48}],
    "hovered_patch": [0, 3, 3],
    "image": 0,
    "slices": [0],
    "tile": -1,
    "layer": 1,
    "head": 1,
    "norm": "mass",
    "sinks": True,
    "smooth": True,
    "fill": False,
    "contour": False,
    "opacity": 0.25,
    "threshold": 0.95,
    "cmap": "viridis",
    # A CT that was read in a narrow window can show all of its values.
    "window": 3.75,
    "level": -1.1,
    "invert": True,
    "view": [0.25, 0.75, 4],
    "tool": "box",
    "known": 0,
}
BAD = {
    "selected": ["0", [99], [True], [0.5], [0] * 10_000, {}, None, [-1]],
    "part": [-1, 10**9, True, "0", None, 1.0],
    "method": ["shapley", "", "x" * 10**6, ["attention"], None, {}],
    "compare": [["shapley"], ["attention"] * 9, "attention", [[]]],
    "difference": [1, "yes", None],
    "pins": [[[99]], [[0]] * 9, [0], "x"],
    "rois": [
        [{"image": 0}],
        [{"image": 1, "x0": 0, "y0": 0, "x1": 1, "y1": 1}],
        [{"image": 0, "x0": 0, "y0": 0, "x1": 1, "y1": 49}],
        [{"image": 0, "x0": math.nan, "y0": 0, "x1": 1, "y1": 1}],
        [{"image": 0, "x0": 0, "y0": 0, "x1": 1, "y1": 1, "more": "x" * 10**6}],
        [GOOD["rois"][0]] * 17,
        [7],
    ],
    "hovered_patch": [[0, 4, 0], [1, 0, 0], [0, 0], [0, 0, 0.5], "000", [0, -1, 0]],
    "image": [1, -2, None],
    "slices": [[1], [-1], [0, 0], 0, ["0"], None],
    "tile": [-2, 99, "0"],
    "layer": [2, -2, True, [0], {}],
    "head": [2, -2, 0.0],
    "norm": ["best", "clip", "shared", None, ["root"]],
    "sinks": [0],
    "smooth": ["true"],
    "fill": [None],
    "contour": [{}],
    "opacity": [1.01, -0.1, math.nan, math.inf, "1", True, 10**400],
    "threshold": [2, math.nan],
    "cmap": ["jet", 3, ["viridis"]],
    "window": [0, 1e6, math.nan],
    "level": [-1e6, "0.5"],
    "invert": [2],
    "view": [[0.5, 0.5], [0.5, 0.5, 0.5], [0.5, 0.5, 25], [2, 0.5, 1], [0.5, math.nan, 1], "555"],
    "tool": ["knife", None],
    "known": [1, -2, None],
}


@pytest.fixture
def live(monkeypatch):
    """A viewer, and the messages it sends."""
    made = Explanation(RECORD).view(contours={"nodule": MASK})
    made.sent = []
    monkeypatch.setattr(made.comm, "send", lambda **message: made.sent.append(message))
    yield made
    made.close()


def _says(live, **data):
    """What the front end says, as its comm delivers it."""
    live._handle_msg({"content": {"data": data}, "buffers": []})


def _state(live):
    return {name: getattr(live, name) for name in live.keys if name != "layout"}


def test_every_control_of_the_viewer_has_a_test_and_nothing_else_has():
    block = assets.module().split("const STATE={")[1].split("};")[0]
    names = {part.split(":")[0] for part in block.split(",") if ":" in part}
    can_hold = traits.acceptable(RECORD, 1)
    assert set(can_hold) == names == set(GOOD) == set(BAD)


@pytest.mark.parametrize("name", GOOD)
def test_what_a_control_sets_arrives(live, name):
    assert getattr(live, name) != GOOD[name]
    _says(live, method="update", state={name: GOOD[name]}, buffer_paths=[])
    assert getattr(live, name) == GOOD[name]


@pytest.mark.parametrize("name", BAD)
def test_a_value_that_does_not_fit_is_put_back(live, name):
    before = _state(live)
    for value in BAD[name]:
        live.sent.clear()
        _says(live, method="update", state={name: value}, buffer_paths=[])
        assert _state(live) == before
        [message] = live.sent
        assert message["data"]["method"] == "update"
        assert message["data"]["state"] == {name: before[name]}


def test_of_several_values_those_that_fit_arrive(live):
    _says(live, method="update", state={"layer": 1, "head": 7, "_busy": {"method": "x"}})
    assert (live.layer, live.head, live._busy) == (1, -1, {})


def test_what_only_python_may_set_stays_as_it_is(live):
    before = _state(live)
    for name in sorted({*live.keys, "explanation", "_record", "_sides", "comm", "keys"} - set(GOOD)):
        for value in ("<img src=x onerror=alert(1)>", b"\0", 7, [], {}, None, "IPY_MODEL_x", True):
            _says(live, method="update", state={name: value}, buffer_paths=[])
    assert _state(live) == before
    assert live.sent == []
    assert live.explanation.record is RECORD
    _says(live, method="update", state={"selected": [], "_pack": None}, buffer_paths=[["_pack"]])
    assert live._pack == before["_pack"]


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"content": None},
        {"content": {"data": []}},
        {"content": {"data": {}}},
        {"content": {"data": {"method": "update"}}},
        {"content": {"data": {"method": "update", "state": [1]}}},
        {"content": {"data": {"method": "update", "state": {"x": 1}, "buffer_paths": [["y", 0]]}}},
        {"content": {"data": {"method": "custom"}}},
        {"content": {"data": {"method": "custom", "content": "stop"}}},
        {"content": {"data": {"method": ["custom"], "content": {}}}},
        {"content": {"data": {"method": "eval", "state": {"layer": 1}}}},
    ],
)
def test_a_message_of_another_form_is_left_alone(live, message):
    before = _state(live)
    live._handle_msg({"buffers": [], **message})
    assert (_state(live), live.sent) == (before, [])


@pytest.mark.parametrize(
    "content",
    [
        {"need": "heads"},
        {"need": "heads", "map": "0", "layer": 0},
        {"need": "heads", "map": 2, "layer": 0},
        {"need": "heads", "map": -1, "layer": 0},
        {"need": "heads", "map": 0, "layer": 2},
        {"need": "heads", "map": 0, "layer": -1},
        {"need": "heads", "map": True, "layer": 0},
        {"need": "method"},
        {"need": "method", "method": ["rise"]},
        {"need": "method", "method": "x" * 10**6},
        {"need": "stop"},
        {"need": {"stop": 1}},
        {"needs": "everything"},
    ],
)
def test_a_wish_that_cannot_be_granted_is_left_alone(live, content):
    _says(live, method="custom", content=content)
    assert live.sent == []


def test_heads_are_sent_for_a_wish_that_fits(live):
    _says(live, method="custom", content={"need": "heads", "map": 1, "layer": 1})
    [message] = live.sent
    assert message["data"]["content"] == {"heads": 1, "layer": 1}


def test_a_viewer_of_maps_without_layers_takes_its_one_layer(monkeypatch):
    bare = [replace(maps, values=maps.values[:, :1], layers=()) for maps in RECORD.heatmaps]
    viewer_of = Explanation(replace(RECORD, heatmaps=tuple(bare))).view()
    sent = []
    monkeypatch.setattr(viewer_of, "send", lambda content, buffers: sent.append(content))
    _says(viewer_of, method="custom", content={"need": "heads", "map": 0, "layer": 0})
    assert sent == [{"heads": 0, "layer": 0}]
    viewer_of.close()


def test_known_outlines_are_counted():
    assert len(outlines({"nodule": MASK}, RECORD.source_images)) == 1
    assert not traits.acceptable(RECORD, 0)["known"](0)
