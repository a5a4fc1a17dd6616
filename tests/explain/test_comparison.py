"""Explanations side by side: what a page, a notebook and a widget hold of them, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from groundviz.comparison import compare
from groundviz.errors import ImageError, TargetError
from groundviz.explanation import Explanation
from groundviz.render.viewer import pack
from tests.support import records


def _two():
    first, second = records.record(), records.record(words=("no", " nodule", "."))
    return [Explanation(first), Explanation(second)]


def _headers(payload: bytes):
    length = int.from_bytes(payload[:4], "little")
    start = 4 + length
    bundle = json.loads(payload[4:start])
    return [pack.read(payload[start + at : start + at + size])[0] for at, size in bundle["packs"]]


def test_each_side_has_its_name_its_words_and_its_references():
    mask = np.zeros((96, 96), bool)
    mask[30:40, 60:70] = True
    made = compare(_two(), names=["Prior", "<b>Current</b>"], contours=[None, {"nodule": mask}])
    viewer = made.view()
    first, second = _headers(viewer._pack)
    assert (first["name"], second["name"]) == ("Prior", "<b>Current</b>")
    assert [token["text"] for token in second["tokens"]] == ["no", "nodule", ".", "</s>"]
    assert (first["known"], [one["name"] for one in second["known"]]) == ([], ["nodule"])
    viewer.close()


def test_a_page_holds_both_and_names_are_text(tmp_path):
    made = compare(_two(), names=["Prior", "<b>Current</b>"])
    text = made.to_html(tmp_path / "both.html")
    assert (tmp_path / "both.html").read_text("utf-8") == text
    assert text.count("data-gv-pack>") == 1
    assert text.count("Token by token") == 2
    assert "<b>Current" not in text
    assert "&lt;b&gt;Current" in text


def test_a_notebook_keeps_html_a_image_and_a_line():
    bundle = compare(_two())._repr_mimebundle_()
    assert bundle["text/plain"] == (
        "<Comparison: A [needs the image: not measured], B [needs the image: not measured]>"
    )
    assert set(bundle) == {"text/plain", "text/html", "image/png"}


def test_the_figure_is_that_of_both_with_their_names():
    assert (
        compare(_two(), names=["Prior", "Current"])
        .figure(methods="attention")
        .caption.startswith("(a) Prior:")
    )


@pytest.mark.parametrize(
    ("count", "options", "says"),
    [
        (1, {}, "1 of them"),
        (2, {"names": ["one"]}, "1 names"),
        (2, {"contours": [None]}, "1 contours"),
    ],
)
def test_what_does_not_go_together_is_refused(count, options, says):
    with pytest.raises(TargetError, match=says):
        compare(_two()[:count], **options)


def test_contours_of_another_size_are_refused_at_once():
    with pytest.raises(ImageError, match="do not fit"):
        compare(_two(), contours=np.zeros((5, 5), bool))


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (("", ""), ("A", "B")),
        (("checkpoint A", ""), ("checkpoint A", "B")),
        (("base", "tuned"), ("base", "tuned")),
        (("same", "same"), ("same (A)", "same (B)")),
    ],
)
def test_labels_are_the_names_unless_others_are_given(labels, names):
    both = [Explanation(replace(one.record, label=label)) for one, label in zip(_two(), labels, strict=True)]
    made = compare(both)
    assert made.names == names
    assert compare(both, names=["Prior", "Now"]).names == ("Prior", "Now")
    assert made.figure(methods="attention").caption.startswith(f"(a) {names[0]}:")


def test_a_comparison_says_which_side_is_not_whole():
    flawed, whole = Explanation(records.flawed()), _two()[1]
    made = compare([flawed, whole])
    assert repr(made) == (
        "<Comparison: checkpoint A [needs the image: not measured; The answer was cut off by its length.; "
        "Interrupted: Occlusion rests on 112 of 480 steps.; Interrupted: Shapley was asked for and never "
        "ran.], B [needs the image: not measured]>"
    )
    first, second = _headers(made.view()._pack)
    assert (first["cut"], second["cut"]) == ("⟦…⟧ cut off by its length", "")
    assert first["missing"] == ["Interrupted: Shapley was asked for and never ran."]
    sly = compare([flawed, whole], names=["\x1b[2J", "\u202e"])
    assert repr(sly).startswith("<Comparison: ␛[2J [")


@pytest.mark.parametrize("given", [None, 3, "ab", [None, None]])
def test_what_is_no_list_of_explanations_is_refused(given):
    with pytest.raises(TargetError, match="There is nothing to compare"):
        compare(given)


@pytest.mark.parametrize("name", ["y" * 201, None, 7])
def test_names_that_cannot_be_shown_are_refused(name):
    both = [Explanation(records.record())] * 2
    with pytest.raises(TargetError, match="names cannot be shown"):
        compare(both, names=["A", name])
