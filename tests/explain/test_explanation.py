"""What the user holds gives every map, draws itself, keeps itself, and names what is missing."""

import base64
import builtins
import io
import json
import sys
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from groundviz import comparison
from groundviz import explanation as module
from groundviz.errors import MissingExtra, StoreError, TargetError, UnknownName
from groundviz.explanation import Explanation
from groundviz.record.targets import Question, find
from groundviz.record.types import Target
from groundviz.render.figures.panels import LABEL
from groundviz.render.viewer import assets
from tests.support import records

RECORD = records.record(48, 48, cells=4)
HELD = Explanation.from_record(RECORD)


def _labels(figure) -> list[str]:
    return [text.get_text().strip() for text in figure.figure.texts]


def test_the_parts_of_the_record_are_at_hand():
    assert HELD.record is RECORD
    assert HELD.question == "Where is the nodule?"
    assert HELD.answer.text == "nodule in the left upper zone."
    assert HELD.tokens == (*records.WORDS, "</s>")
    assert HELD.source_image is RECORD.source_image
    assert HELD.methods == ("attention", "occlusion")
    with pytest.raises(FrozenInstanceError):
        HELD.record = None


@pytest.mark.parametrize(
    ("named", "tokens"),
    [
        (None, tuple(range(7))),
        ("left upper", (3, 4)),
        (-2, (6,)),
        ((0, 2), (0, 1)),
        (Target(tokens=(5,), text="z"), (5,)),
    ],
)
def test_a_map_is_named_by_method_and_target(named, tokens):
    for maps in RECORD.heatmaps:
        found = HELD.heatmap(maps.method, named)
        assert found.method == maps.method
        assert found.target.tokens == tokens
        np.testing.assert_array_equal(found.values, maps.at(found.target).values)


def test_the_first_method_and_the_record_s_own_target_are_the_default():
    narrow = Explanation(replace(RECORD, targets=(find(RECORD.answer, "left"),)))
    assert narrow.heatmap().method == "attention"
    assert narrow.heatmap().target.tokens == (3,)


def test_one_layer_and_one_head_can_be_asked_for():
    found = HELD.heatmap("attention", "zone", layer=1, head=0)
    np.testing.assert_array_equal(found.values, RECORD.heatmaps[0].values[5, 1, 0])
    assert (found.layer, found.head) == (1, 0)


PAIR, TILED, SHATTERED = (Explanation(made()) for made in (records.pair, records.tiled, records.shattered))


def test_all_images_are_at_hand():
    assert HELD.source_images == (HELD.source_image,)
    assert [source_image.shape for source_image in PAIR.source_images] == [(96, 96), (60, 120)]


@pytest.mark.parametrize(
    ("held", "named", "place"),
    [
        (PAIR, {}, (0, "")),
        (PAIR, {"image": 1}, (1, "")),
        (TILED, {}, (0, "overview")),
        (TILED, {"tile": "tiles"}, (0, "tiles")),
        (TILED, {"tile": 1}, (0, "tiles")),
        (SHATTERED, {"tile": 3}, (0, "tile 3 of 12")),
        (SHATTERED, {"image": 1}, (1, "")),
    ],
)
def test_a_map_is_named_by_image_and_tile(held, named, place):
    for method in held.methods:
        found = held.heatmap(method, "left", **named)
        assert (found.method, found.grid.image, found.grid.label) == (method, *place)
        assert found.target.tokens == (3,)


def test_all_maps_of_a_method_come_image_by_image():
    maps = SHATTERED.heatmaps("occlusion", "left", layer=0, head=1)
    assert [one.grid.image for one in maps] == [0] * 13 + [1]
    assert {(one.method, one.target.tokens, one.layer, one.head) for one in maps} == {
        ("occlusion", (3,), 0, 1)
    }
    np.testing.assert_array_equal(HELD.heatmaps()[0].values, HELD.heatmap().values)


@pytest.mark.parametrize(
    ("named", "rows"),
    [
        ({}, ["a  Attention · image 1 of 2, overview", "b  Attention · image 2 of 2"]),
        ({"image": 1}, ["Attention · image 2 of 2"]),
        ({"image": 0}, ["Attention · image 1 of 2, overview"]),
        ({"tile": "tile 7 of 12"}, ["Attention · image 1 of 2, tile 7 of 12"]),
        ({"tile": 0}, ["a  Attention · image 1 of 2, overview", "b  Attention · image 2 of 2"]),
    ],
)
def test_a_figure_shows_the_images_and_tiles_named(named, rows):
    labels = _labels(SHATTERED.figure("left", "attention", **named))
    assert [label for label in labels if "Attention ·" in label] == rows


@pytest.mark.parametrize(
    ("ask", "error", "says"),
    [
        (
            lambda: HELD.heatmap("atention"),
            UnknownName,
            "no maps of 'atention': it holds attention, occlusion",
        ),
        (lambda: HELD.heatmap(target="effusion"), TargetError, "does not contain 'effusion'"),
        (lambda: HELD.heatmap(target=-1), TargetError, "no map for '</s>': it measured"),
        (lambda: HELD.heatmap(layer=9), TargetError, "no map for layer 9"),
        (lambda: PAIR.heatmap(image=2), UnknownName, "no map of image=2: it has image=0; image=1"),
        (lambda: TILED.heatmap(tile="tile"), UnknownName, "it has image=0 with tile='overview' or 'tiles'"),
        (lambda: TILED.figure(image=1), UnknownName, "no map of image=1"),
        (lambda: HELD.heatmaps("atention"), UnknownName, "no maps of 'atention'"),
        (lambda: HELD.heatmap("rise"), UnknownName, r"measure more: explanation\.add\(model, methods\)"),
        (lambda: HELD.figure(methods="rollout"), UnknownName, "'rollout'"),
        (lambda: HELD.figure(["left", "zebra"]), TargetError, "'zebra'"),
        (lambda: HELD.figure([]), TargetError, "nothing to draw"),
        (lambda: HELD.figure(width="wide"), UnknownName, "no figure width 'wide'"),
        (lambda: Explanation(replace(RECORD, heatmaps=())).heatmap(), UnknownName, "it holds none"),
        (lambda: Explanation(replace(RECORD, heatmaps=())).figure(), TargetError, "nothing to draw"),
    ],
)
def test_what_is_missing_is_named_with_what_is_there(ask, error, says):
    with pytest.raises(error, match=says):
        ask()


def test_a_figure_shows_all_methods_and_the_first_words_by_default():
    labels = _labels(HELD.figure())
    assert [label for label in labels if label in ("a  Attention", "b  Occlusion")] == [
        "a  Attention",
        "b  Occlusion",
    ]
    for word in ("whole answer", "nodule", "left", "upper", "zone"):
        assert labels.count(word) == 2
    assert "in" not in labels


@pytest.mark.parametrize(
    ("targets", "shown"),
    [
        ("left", ["left"]),
        (-2, ["."]),
        ((3, 5), ["left upper"]),
        (["left", (3, 5), 0], ["left", "left upper", "nodule"]),
    ],
)
def test_targets_of_a_figure_are_one_or_a_list(targets, shown):
    labels = _labels(HELD.figure(targets, "occlusion", width="single", layer=0, head=1))
    title, first = labels.index("layer 0, head 1"), labels.index("Image")
    assert labels[title - 1 : first + 1] == ["Occlusion", "layer 0, head 1", "Image"]
    panels = labels[first + 1 :]
    assert [label for label in panels if label in {"left", "left upper", "nodule", "."}] == shown
    assert "Attention" not in labels


def test_smooth_figures_differ_and_widths_are_kept():
    plain, smooth = (HELD.figure("left", "attention", width=60, smooth=smooth) for smooth in (False, True))
    assert plain.figure.get_figwidth() == smooth.figure.get_figwidth() == pytest.approx(60 / 25.4)
    assert plain.to_bytes("png") != smooth.to_bytes("png")


def test_a_figure_layer_by_layer_has_a_row_for_each_method_that_tells_layers_apart():
    texts = HELD.figure("left", layer="each").figure.findobj(Text)
    # The words beside a bar are smaller, and may name a layer, too.
    labels = [text.get_text() for text in texts if text.get_fontsize() == LABEL]
    swept = [label for label in labels if label.startswith("layer ")]
    assert swept == ["layer 0", "layer 1"] * 2
    merged = replace(RECORD.heatmaps[1], values=RECORD.heatmaps[1].values[:, :1], layers=())
    half = Explanation(replace(RECORD, heatmaps=(RECORD.heatmaps[0], merged)))
    assert "Occlusion" not in _labels(half.figure(layer="each"))
    with pytest.raises(TargetError, match="no layers to draw one by one: occlusion combines them all"):
        half.figure(methods="occlusion", layer="each")


def test_a_style_shows_its_own_targets_unasked_and_others_when_asked():
    labels = _labels(HELD.figure(methods="attention", style="words"))
    assert {"nodule", "left", "upper", "zone"} <= set(labels)
    assert "whole answer" not in labels
    assert "1" in _labels(HELD.figure(methods="attention", style="findings"))
    rad = _labels(HELD.figure("left", style="llava_rad"))
    assert "Attention" in rad
    assert "Occlusion" not in rad
    assert any("a reconstruction" in label for label in rad)


@pytest.mark.parametrize("contours", [np.ones((48, 48), bool), (1, 2, 30, 40), {0: [(1, 2, 30, 40)]}])
def test_contours_are_drawn_on_the_image_and_the_map(contours):
    drawn = HELD.figure("left", "attention", contours=contours).figure
    assert [bool(axes.lines) for axes in drawn.axes] == [True, True, False]


def test_explanations_stand_side_by_side_with_the_methods_they_share():
    first = Explanation(replace(RECORD, heatmaps=RECORD.heatmaps[::-1]))
    only = Explanation(replace(RECORD, heatmaps=RECORD.heatmaps[:1]))
    box = (1, 2, 30, 40)
    drawn = comparison.figure([first, only], "left", names=["All", "One"], contours=[None, box])
    labels = _labels(drawn)
    assert [labels.count(label) for label in ("Attention", "Occlusion", "Image")] == [2, 0, 2]
    assert drawn.caption.startswith("(a) All: ")
    assert sum(bool(axes.lines) for axes in drawn.figure.axes) == 2
    both = comparison.figure([first, only], "left", contours=box)
    assert sum(bool(axes.lines) for axes in both.figure.axes) == 4
    assert _labels(comparison.figure([HELD, HELD], "left")).count("Occlusion") == 2


@pytest.mark.parametrize(
    "ask",
    [
        lambda: comparison.figure([]),
        lambda: comparison.figure([HELD, HELD], names=["one"]),
        lambda: comparison.figure([HELD], contours=[None, None]),
        lambda: comparison.figure([HELD, Explanation(replace(RECORD, heatmaps=()))]),
    ],
)
def test_explanations_that_cannot_be_drawn_together_are_refused(ask):
    with pytest.raises(TargetError, match="cannot be drawn together: there are"):
        ask()


def test_it_is_kept_and_brought_back(tmp_path):
    path = HELD.save(tmp_path / "a.gvz")
    again = module.open(path)
    assert (again.question, again.tokens, again.methods) == (HELD.question, HELD.tokens, HELD.methods)
    np.testing.assert_array_equal(again.heatmap("occlusion").values, HELD.heatmap("occlusion").values)
    with pytest.raises(StoreError, match="exists"):
        HELD.save(path)
    HELD.save(path, overwrite=True)
    with pytest.raises(StoreError):
        module.open(tmp_path / "b.gvz")


def test_a_page_is_returned_and_written(tmp_path):
    page = HELD.to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page
    assert page.startswith("<!DOCTYPE html>")
    assert HELD.figure().caption.split(".")[0] in page
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_it_reads_as_one_line_whatever_the_answer():
    needs = "needs the image: not measured"
    maps = f"{needs}; maps: attention, occlusion"
    assert str(HELD) == f"Where is the nodule? nodule in the left upper zone. (35%; {maps})"
    assert repr(HELD) == f"<Explanation: {HELD}>"
    flawed = records.flawed()
    assert str(Explanation(flawed)) == (
        "checkpoint A: Where is the nodule? nodule in the left upper zone. ⟦…⟧ (35%; cut off by its length; "
        f"{maps} [interrupted: 112 of 480 steps]; never ran: shapley)"
    )
    plain, sampled = flawed.heatmaps
    flat = replace(flawed, heatmaps=(replace(plain, values=plain.values * 0), sampled))
    assert "maps: attention [no evidence], occlusion [" in str(Explanation(flat))
    sly = Explanation(records.record(24, 24, cells=2, question="a\nb\x1b[2J\u202e", words=("c\rd",)))
    assert str(sly) == f"a␊b␛[2J⟦U+202E⟧ c␍d (98%; {maps})"


def test_a_notebook_keeps_html_a_image_and_a_line_and_no_widget():
    bundle = HELD._repr_mimebundle_(include=None, exclude=None)
    assert set(bundle) == {"text/plain", "text/html", "image/png"}
    assert bundle["text/plain"] == repr(HELD)
    assert bundle["text/html"].count("<script") == 2
    assert f"<script>{assets.program()}</script>" in bundle["text/html"]
    assert bundle["text/html"].count("<img") == 1 + 2 + 2 + 2 + 14
    drawn = Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))
    assert drawn.size[0] == 1081
    assert sum(map(len, bundle.values())) < 2_000_000
    assert json.loads(json.dumps(bundle)) == bundle


def test_a_live_viewer_needs_anywidget_and_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    monkeypatch.delitem(sys.modules, "groundviz.render.live.widget", raising=False)
    with pytest.raises(MissingExtra, match=r'pip install "groundviz\[jupyter\]"'):
        HELD.view()


def test_open_does_not_replace_python_s_own():
    assert module.open is not builtins.open


def test_a_word_of_the_question_has_a_map_like_any_other():
    asked = Explanation.from_record(records.asked(RECORD))
    heatmap = asked.heatmap("attention", Question("nodule"))
    assert heatmap.target == Target(tokens=(-3,), text="nodule")
    plain = asked.record.heatmaps[0].values
    np.testing.assert_allclose(heatmap.values, plain[-2].mean(axis=(0, 1)), rtol=1e-6)
    whole = asked.heatmap("attention", Question())
    np.testing.assert_allclose(whole.values, plain[-5:].mean(axis=(0, 1, 2)), rtol=1e-5)
    with pytest.raises(TargetError, match="occlusion has no map for 'nodule' in the question"):
        asked.heatmap("occlusion", Question("nodule"))


@pytest.mark.wide
def test_words_of_the_question_change_nothing_that_is_shown_of_the_answer():
    asked = Explanation.from_record(records.asked(RECORD))
    assert np.array_equal(asked.heatmap().values, HELD.heatmap().values, equal_nan=True)
    assert np.array_equal(asked.heatmap(None, 0).values, HELD.heatmap(None, 0).values, equal_nan=True)
    assert asked.figure().preview() == HELD.figure().preview()
    assert asked.figure(style="words").caption == HELD.figure(style="words").caption
    still = [one.to_html().split("<script")[0] for one in (asked, HELD)]
    assert still[0] == still[1]


@pytest.mark.parametrize("style", ["grid", "words", "llava_rad"])
def test_a_figure_of_a_word_of_the_question_says_what_it_is(style):
    asked = Explanation.from_record(records.asked(RECORD))
    drawn = asked.figure([Question("nodule"), "nodule"], "attention", style=style)
    assert "“nodule” (in the question), “nodule”" in drawn.caption
    assert any("(in the question)" in label for label in _labels(drawn))


def test_an_explained_question_has_a_page_a_file_and_charts(tmp_path):
    record = records.asked(RECORD)
    target = find(record.answer, Question("nodule"), record.prompt)
    held = Explanation.from_record(replace(record, targets=(target,), heatmaps=record.heatmaps[:1]))
    assert "“nodule” (in the question)" in held.to_html()
    assert "text/html" in held._repr_mimebundle_()
    held.save(tmp_path / "a.gvz")
    assert module.open(tmp_path / "a.gvz").record.target == target
    assert "in the question" in held.charts.heads().layout.title.text
