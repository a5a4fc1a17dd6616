"""A figure has the width it was asked for, says what it shows, and shows what it says."""

import io
import itertools
import os
import re
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from PIL import Image

from groundviz.errors import OptionError, TargetError, UnknownName
from groundviz.record.selection import Selection
from groundviz.record.targets import find
from groundviz.record.types import Samples
from groundviz.render.base import overlay
from groundviz.render.base.colour import scales
from groundviz.render.figures import panels
from groundviz.render.figures.canvas import WARN
from groundviz.render.figures.figure import Part, compose, default_targets, part_of
from tests.support import records
from tests.support.figures import draw

RECORD = records.record()
ANSWER = RECORD.answer
PAIR, TILED, SHATTERED = records.pair(), records.tiled(), records.shattered()
LONG = records.record(
    question="Describe the most important finding, its side, its zone and how sure you are of it. " * 3,
    words=(
        "There",
        " is",
        " a",
        " 1.2",
        " cm",
        " well-circumscribed",
        " nodule",
        " in",
        " the",
        " left",
        ".",
    ),
    notes=("shown inverted (MONOCHROME1).", "text burned into the pixels cannot be ruled out"),
)


def _rows(record, *named):
    targets = [find(record.answer, one) for one in named] or default_targets(record)
    return [[maps.at(target) for target in targets] for maps in record.heatmaps]


def _texts(figure) -> list[str]:
    found = (text.get_text().strip() for text in figure.figure.findobj(Text))
    return [text for text in found if text]


def _drawn(figure):
    """The figure as 8-bit pixels, and where each image lies in them."""
    pixels = np.asarray(Image.open(io.BytesIO(figure.to_bytes("png"))).convert("RGB"))
    boxes = [axes.bbox.extents.round().astype(int) for axes in figure.figure.axes]
    height = pixels.shape[0]
    return [pixels[height - top : height - bottom, left:right] for left, bottom, right, top in boxes]


@pytest.mark.parametrize(
    ("width", "millimetres"), [("single", 89), ("onehalf", 120), ("double", 183), (60, 60), (174.5, 174.5)]
)
def test_the_width_in_every_file_is_the_width_asked_for(width, millimetres):
    figure = draw(RECORD, _rows(RECORD, None, "nodule", "left")[:1], width=width)
    points = millimetres / 25.4 * 72
    box = re.search(rb"/MediaBox \[ ?0 0 ([\d.]+) ([\d.]+) ?\]", figure.to_bytes("pdf"))
    assert float(box.group(1)) == pytest.approx(points, abs=1e-3)
    svg = ElementTree.fromstring(figure.to_bytes("svg"))  # noqa: S314
    assert float(svg.attrib["width"].removesuffix("pt")) == pytest.approx(points, abs=1e-3)
    assert float(svg.attrib["height"].removesuffix("pt")) == pytest.approx(float(box.group(2)), abs=1e-3)
    for kind in ("png", "tiff"):
        drawn = Image.open(io.BytesIO(figure.to_bytes(kind)))
        assert drawn.size[0] == int(millimetres / 25.4 * 300)
        assert drawn.info["dpi"] == pytest.approx((300, 300), abs=0.01)
        assert drawn.mode == "RGB"


@pytest.mark.parametrize("width", ["triple", 59.9, 0, -89, 1e9, float("nan")])
def test_an_impossible_width_is_refused(width):
    with pytest.raises(UnknownName, match="no figure width"):
        draw(RECORD, _rows(RECORD, None), width=width)


@pytest.mark.parametrize("rows", [[], [[]]])
def test_no_map_is_no_figure(rows):
    with pytest.raises(TargetError, match="nothing to draw"):
        draw(RECORD, rows)


def test_fonts_are_embedded_as_truetype_and_text_stays_text():
    figure = draw(LONG, _rows(LONG, "nodule")[:1], width=60)
    pdf = figure.to_bytes("pdf")
    assert pdf.count(b"/FontFile2") == pdf.count(b"/Type /FontDescriptor") >= 2
    assert b"/Type3" not in pdf
    assert b"DejaVuSans-Bold" in pdf
    svg = ElementTree.fromstring(figure.to_bytes("svg"))  # noqa: S314
    written = ["".join(one.itertext()).strip() for one in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert sorted(filter(None, written)) == sorted(_texts(figure))


def test_the_figure_says_question_answer_method_unit_scale_and_rule():
    texts = _texts(draw(RECORD, _rows(RECORD, "nodule", "left")))
    sentence = " ".join(texts)
    assert texts[:5] == ["Question", "Where is the nodule?", "Answer", "nodule", "in the"]
    for row in _rows(RECORD, "nodule", "left"):
        (scale, *_) = scales(row)
        assert set(scale.ends) <= set(texts)
        assert any(text.startswith(scale.unit) for text in texts)
        assert scale.rule in sentence
    assert "where the model looked · mean over layers and heads" in texts
    assert "Attention shows where the model looked, not why it answered." in sentence
    assert "Opacity rises with the colour, from 0 at zero to 85% at the scale's end." in sentence
    assert [text for text in texts if text in ("a  Attention", "b  Occlusion")] == [
        "a  Attention",
        "b  Occlusion",
    ]
    assert [texts.count(label) for label in ("Image", "left")] == [2, 3]


def test_one_row_needs_no_letter():
    assert "Attention" in [text.strip() for text in _texts(draw(RECORD, _rows(RECORD, None)[:1]))]


def test_the_explained_part_is_bold_and_nothing_else_of_the_answer():
    figure = draw(LONG, _rows(LONG, "nodule")).figure
    weights = {text.get_text().strip(): text.get_fontweight() for text in figure.texts}
    bold = {text.get_text().strip() for text in figure.texts if text.get_fontweight() == "bold"}
    assert bold == {"nodule", "a  Attention", "b  Occlusion"}
    assert weights["in the left."] == "normal"


def test_the_image_and_its_notes_stand_with_the_maps():
    sentence = " ".join(_texts(draw(LONG, _rows(LONG, "nodule")[:1], width=60)))
    assert "Image: shown inverted (MONOCHROME1). text burned into the pixels cannot be ruled out." in sentence


def test_layer_and_head_are_named():
    rows = [[RECORD.heatmaps[0].at(RECORD.target, layer=1, head=0)]]
    assert any(text.endswith("layer 1, head 0") for text in _texts(draw(RECORD, rows)))


def test_a_given_answer_is_labelled_so():
    given = replace(RECORD, answer=replace(RECORD.answer, source="given"))
    texts = _texts(draw(given, _rows(given, None)))
    assert "Given" in texts
    assert "Answer" not in texts


def test_text_that_means_something_to_a_typesetter_is_just_text():
    sly = records.record(question="$\\frac{1}{2}$ \\textbf{x} <b>&amp;</b> \u202e\0 肺", words=("_$x", "^2$"))
    texts = _texts(draw(sly, _rows(sly)))
    assert "$\\frac{1}{2}$ \\textbf{x} <b>&amp;</b> ⟦U+202E⟧⟦U+0000⟧ ⟦U+80BA⟧" in texts
    assert "_$x^2$" in texts


@pytest.mark.parametrize("smooth", [False, True])
def test_panels_are_the_blended_pixels_dot_by_dot(smooth):
    rows = _rows(RECORD, "left", "nodule")
    figure = draw(RECORD, rows, width="single", smooth=smooth)
    image, *panels = [part for part in _drawn(figure) if min(part.shape[:2]) > 100]
    expected = overlay.resample(RECORD.source_image.pixels, image.shape[:2])
    assert np.array_equal(image, overlay.to_bytes(expected))
    panels = [panel for panel in panels if not np.array_equal(panel, image)]
    assert len(panels) == 4
    heatmaps = [(heatmap, scale) for row in rows for heatmap, scale in zip(row, scales(row), strict=True)]
    for panel, (heatmap, scale) in zip(panels, heatmaps, strict=True):
        shape = panel.shape[:2]
        blended = overlay.to_bytes(
            overlay.overlaid(RECORD.source_image, shape, heatmap, scale, smooth=smooth)
        )
        other = (panel != blended).any(axis=2)
        near = np.zeros(shape, bool)
        follow = RECORD.source_image.shape if smooth else None
        for outline in overlay.outlines(heatmap, scale, smooth_on=follow):
            for ends in outline.edges / 96 * shape[0]:
                (top, left), (bottom, right) = ends.min(axis=0), ends.max(axis=0)
                near[max(0, int(top) - 5) : int(bottom) + 6, max(0, int(left) - 5) : int(right) + 6] = True
        assert not (other & ~near).any()
        assert other.any() == near.any()


def test_a_map_without_evidence_says_so_and_shows_the_bare_image():
    plain = RECORD.heatmaps[0]
    values = plain.values.copy()
    values[0] = 0.25
    flat = replace(plain, values=values)
    heatmaps = [flat.at(find(RECORD.answer, named)) for named in ("nodule", "left")]
    record = replace(RECORD, heatmaps=(flat,))
    figure = draw(record, [heatmaps], width="single")
    assert _texts(figure).count("no evidence") == 1
    # The image, the silent map, one whose half takes few cells, and the bar.
    assert [len(axes.findobj(LineCollection)) > 0 for axes in figure.figure.axes[:2]] == [False, False]
    image, silent, _, _ = _drawn(figure)
    assert (silent[:40] == image[:40]).all()
    alone = draw(record, [heatmaps[:1]])
    assert len(alone.figure.axes) == 2
    assert "no evidence" in _texts(alone)
    assert "no evidence" in alone.caption


def test_maps_on_scales_of_their_own_carry_their_own_numbers():
    rows = _rows(RECORD, "nodule", "left")[:1]
    texts = _texts(draw(RECORD, rows, rule="each"))
    for scale in scales(rows[0], "each"):
        assert " to ".join(scale.ends) in texts
    assert {"0", "highest"} <= set(texts)


def test_what_the_model_did_not_see_is_hatched_and_explained():
    tall = records.record(120, 96)
    figure = draw(tall, _rows(tall, "nodule")[:1], width="single")
    image, panel, _ = _drawn(figure)
    unseen = slice(0, image.shape[0] // 12)
    changed = (panel[unseen] != image[unseen]).any(axis=2)
    assert 0.05 < changed.mean() < 0.35
    assert "Hatched: not seen by the model." in " ".join(_texts(figure))
    assert "Hatched" not in " ".join(_texts(draw(RECORD, _rows(RECORD, "nodule")[:1])))


@pytest.mark.parametrize("width", [60, "single", "double"])
@pytest.mark.parametrize("record", [RECORD, LONG, PAIR, TILED])
def test_every_text_can_be_read_lies_on_the_page_and_overlaps_no_other(record, width):
    _check_texts(draw(record, _rows(record), width=width).figure)


def _check_texts(figure):
    renderer = FigureCanvasAgg(figure).get_renderer()
    page = figure.bbox.extents
    boxes = []
    for text in figure.texts:
        if text.get_text().strip():
            assert text.get_fontsize() >= 6.0
            linear = [
                c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(text.get_color())
            ]
            assert 1.05 / (np.dot(linear, [0.2126, 0.7152, 0.0722]) + 0.05) > 6.0
            left, bottom, right, top = text.get_window_extent(renderer).extents
            assert page[0] <= left < right <= page[2] + 1
            assert page[1] <= bottom < top <= page[3] + 1
            boxes.append((text.get_text(), left, bottom, right, top))
    for one, other in itertools.combinations(boxes, 2):
        aside = one[3] <= other[1] + 2 or other[3] <= one[1] + 2
        apart = one[4] <= other[2] + 8 or other[4] <= one[2] + 8
        assert aside or apart, (one[0], other[0])


@pytest.mark.parametrize(("width", "count"), [("double", 5), ("onehalf", 5), ("single", 5), (60, 3)])
def test_the_default_panels_are_the_whole_target_and_the_first_telling_words_that_fit(width, count):
    named = [one.text for one in default_targets(RECORD, width)]
    whole = "nodule in the left upper zone."
    assert named == [whole, "nodule", "left", "upper", "zone"][:count]


def test_parts_that_have_no_panel_for_want_of_room_are_named():
    told = "Further parts of the answer without a panel: “upper”, “zone”."
    for width, is_told in ((60, True), ("double", False)):
        part = part_of(RECORD, None, Selection(methods=["attention"]), "grid", width)
        figure = compose([part], width=width)
        assert (told in " ".join(_texts(figure))) == (told in figure.caption) == is_told
    asked = part_of(RECORD, "left", Selection(methods=["attention"]), "grid", 60)
    assert not asked.unshown


def test_the_whole_answer_is_named_in_full_on_seven_panels():
    words = ("nodule", " right", " upper", " zone", " effusion", " base")
    record = records.record(words=words)
    sure = replace(
        record, answer=replace(record.answer, logprobs=np.zeros_like(record.answer.logprobs) - 1e-4)
    )
    texts = _texts(draw(sure, _rows(sure)[:1]))
    assert texts.count("> 99%") == 6
    assert "whole answer" in texts
    assert not [text for text in texts if text.endswith("…")]


@pytest.mark.parametrize(("width", "parts", "count"), [("double", 2, 2), ("double", 3, 1), ("single", 2, 2)])
def test_parts_beside_each_other_show_one_line_each(width, parts, count):
    assert len(default_targets(RECORD, width, parts=parts)) == count


def test_several_images_or_tiles_have_one_line_of_panels_each():
    for record in (PAIR, TILED):
        assert len(default_targets(record, "single")) == 2
        assert len(default_targets(record, "double")) == 5


def test_a_target_of_one_token_is_one_panel():
    narrow = replace(RECORD, targets=(find(RECORD.answer, "left"),))
    assert [one.text.strip() for one in default_targets(narrow)] == ["left"]


def test_sums_over_different_numbers_of_tokens_are_shown_per_token():
    plain, signed = RECORD.heatmaps
    assert (plain.reduce[0], signed.reduce[0]) == ("mean", "sum")
    several = draw(RECORD, _rows(RECORD, None, "nodule"), width="single")
    units = [text for text in _texts(several) if text in ("share of attention", "Δ log-prob per token")]
    assert units == ["share of attention", "Δ log-prob per token"]
    assert "Δ log-prob per token" in several.caption
    whole, word = (signed.at(target) for target in (RECORD.target, find(RECORD.answer, "nodule")))
    (scale, _) = scales([replace(whole, values=whole.values / 7), word])
    assert set(scale.ends) <= set(_texts(several))
    assert "per token" not in " ".join(_texts(draw(RECORD, _rows(RECORD, "left", "nodule"), width="single")))


def _titles(figure) -> list[str]:
    return [text for text in _texts(figure) if "Attention ·" in text or "Occlusion ·" in text]


def test_every_image_and_tile_has_a_row_with_a_name_and_a_method_one_bar():
    figure = draw(PAIR, _rows(PAIR, "left", "nodule"))
    assert _titles(figure) == [
        "a  Attention · image 1 of 2",
        "b  Attention · image 2 of 2",
        "c  Occlusion · image 1 of 2",
        "d  Occlusion · image 2 of 2",
    ]
    texts = _texts(figure)
    assert [texts.count(name) for name in ("Image", "Image 1 of 2", "Image 2 of 2")] == [0, 2, 2]
    assert texts.count("share of attention") == 1
    assert texts.count("where the model looked · mean over layers and heads") == 1
    assert texts.count("mean over layers and heads") == 1
    assert _titles(draw(TILED, _rows(TILED, "left")[:2])) == [
        "a  Attention · overview",
        "b  Attention · tiles",
    ]


def test_each_map_lies_on_its_own_image_in_that_image_s_proportions_on_one_scale():
    rows = _rows(PAIR, "nodule", "left")[:2]
    shared = scales([heatmap for row in rows for heatmap in row])
    assert len(set(shared)) == 1
    images = [part for part in _drawn(draw(PAIR, rows)) if min(part.shape[:2]) > 100]
    for row, source_image in zip(rows, PAIR.source_images, strict=True):
        image, *panels = images[:3]
        del images[:3]
        shape = image.shape[:2]
        assert shape[0] / shape[1] == pytest.approx(source_image.shape[0] / source_image.shape[1], rel=0.01)
        assert np.array_equal(image, overlay.to_bytes(overlay.resample(source_image.pixels, shape)))
        for panel, heatmap in zip(panels, row, strict=True):
            blended = overlay.to_bytes(overlay.overlaid(source_image, shape, heatmap, shared[0]))
            # All but the outline is the blend.
            assert panel.shape == blended.shape
            assert (panel == blended).all(axis=2).mean() > 0.9


def test_a_scale_of_one_map_is_not_the_scale_of_both():
    strong = replace(PAIR.heatmaps[0], values=10 * PAIR.heatmaps[0].values)
    rows = [[maps.at(PAIR.target)] for maps in (strong, PAIR.heatmaps[1])]
    texts = _texts(draw(PAIR, rows))
    (both, _), (faint,) = scales([rows[0][0], rows[1][0]]), scales(rows[1])
    assert set(both.ends) <= set(texts)
    assert faint.ends[1] not in texts


def test_images_of_any_proportions_stand_in_columns():
    shapes = ((96, 96), (60, 150), (200, 50))
    source_images = [records.source_image(*shape) for shape in shapes]
    grids = [records.grid_over((0, 0, *shape), (4, 4), image=image) for image, shape in enumerate(shapes)]
    record = records.record_of(source_images, grids)
    boxes = [axes.bbox.extents for axes in draw(record, _rows(record, "left")[:3]).figure.axes]
    boxes = [box for box in boxes if box[3] - box[1] > 100]
    assert len(boxes) == 6
    assert len({round(box[0]) for box in boxes}) == 2
    for shape, box in zip(shapes, boxes[::2], strict=True):
        left, bottom, right, top = box
        assert (top - bottom) / (right - left) == pytest.approx(shape[0] / shape[1], rel=0.02)


def test_what_lies_outside_a_tile_is_hatched_and_not_called_unseen():
    tile = next(maps for maps in SHATTERED.heatmaps if maps.grid.label == "tile 3 of 12")
    figure = draw(SHATTERED, [[tile.at(find(SHATTERED.answer, "left"))]], width="single")
    image, panel, _ = _drawn(figure)
    rows, cols = image.shape[:2]
    changed = (panel != image).any(axis=2)
    assert 0.05 < changed[rows // 2 :].mean() < 0.35
    assert 0.05 < changed[:, : cols // 3].mean() < 0.35
    text = " ".join(_texts(figure))
    assert "Hatched: not covered by this map." in text
    assert "not seen" not in text


def test_notes_stand_with_the_image_they_are_about():
    both = " ".join(_texts(draw(PAIR, _rows(PAIR, "left")[:2])))
    assert "Image 2 of 2: shown inverted (MONOCHROME1)." in both
    assert "shown inverted" not in " ".join(_texts(draw(PAIR, _rows(PAIR, "left")[:1])))


def test_colour_images_and_any_proportion_can_be_drawn():
    for source_image in (
        records.source_image(64, 40, colour=True),
        records.source_image(8, 300),
        records.source_image(300, 8),
    ):
        grid = records.cropped_grid(*source_image.shape, 4)
        maps = records.heatmaps("attention", grid, RECORD.answer, source_image.shape)
        record = replace(RECORD, source_images=(source_image,), heatmaps=(maps,))
        drawn = Image.open(io.BytesIO(draw(record, _rows(record, "nodule"), width=60).to_bytes("png")))
        assert drawn.size[0] == 708
        assert 300 < drawn.size[1] < 1900


def test_a_file_stays_small_because_the_image_is_resampled():
    large = records.record(1500, 1500)
    assert len(draw(large, _rows(large, "nodule", "left")[:1], width="single").to_bytes("pdf")) < 600_000


def _parts(*records_) -> list[Part]:
    return [Part(one, _rows(one, "left")) for one in records_]


def _lefts(figure) -> list[list[int]]:
    """The left edges of the images that are no colour bars, from top to bottom."""
    boxes = [axes.bbox.extents.round().astype(int) for axes in figure.figure.axes]
    tops = sorted({box[3] for box in boxes if box[3] - box[1] > 60}, reverse=True)
    return [sorted(box[0] for box in boxes if box[3] == top) for top in tops]


@pytest.mark.parametrize(("width", "lines"), [("double", [4, 4]), ("single", [2, 2, 2, 2])])
def test_parts_stand_side_by_side_in_line_where_there_is_room_and_else_under_each_other(width, lines):
    figure = compose(_parts(RECORD, LONG), width=width)
    assert [len(line) for line in _lefts(figure)] == lines


def test_four_parts_are_two_by_two():
    figure = compose(_parts(*[RECORD] * 4))
    assert [len(line) for line in _lefts(figure)] == [4, 4, 4, 4]


def test_parts_carry_letters_and_names_and_their_rows_none():
    parts = [
        replace(part, name=name)
        for part, name in zip(_parts(RECORD, LONG), ("Prior", "Current"), strict=True)
    ]
    figure = compose(parts)
    texts = _texts(figure)
    assert {"a  Prior", "b  Current", "Attention", "Occlusion"} <= set(texts)
    assert "a  Attention" not in texts
    assert figure.caption.startswith("(a) Prior: ")
    assert " (b) Current: " in figure.caption
    assert figure.caption.count("Model groundviz/demo") == 1
    assert "b, image: shown inverted (MONOCHROME1)." in " ".join(texts)


def test_parts_of_one_model_share_a_scale_and_those_of_two_do_not():
    strong = replace(RECORD, heatmaps=(replace(RECORD.heatmaps[0], values=10 * RECORD.heatmaps[0].values),))
    faint = replace(RECORD, heatmaps=RECORD.heatmaps[:1])
    maps = [one.heatmaps[0].at(find(ANSWER, "left")) for one in (strong, faint)]
    together, alone = scales(maps)[0].ends[1], [scales([one])[0].ends[1] for one in maps]
    same = _texts(compose(_parts(strong, faint)))
    assert same.count(together) == 2
    assert alone[1] not in same
    other = replace(faint, provenance=replace(faint.provenance, weights="sha256:other", model="another"))
    figure = compose(_parts(strong, other))
    assert set(alone) <= set(_texts(figure))
    assert figure.caption.count("Model ") == 2


def test_a_map_too_weak_for_its_scale_says_how_little_there_is():
    values = RECORD.heatmaps[0].values.copy()
    values[3] /= 100
    weak = replace(RECORD.heatmaps[0], values=values)
    row = [weak.at(find(ANSWER, named)) for named in ("nodule", "left")]
    most = np.ceil(100 * row[1].values.max() / row[0].values.max())
    told = [text for text in _texts(draw(RECORD, [row], width="single")) if text.endswith("of the highest")]
    assert told == [f"≤ {most:.0f}% of the highest"]
    assert 1 <= most <= 2
    alone = _texts(draw(RECORD, [[weak.at(find(ANSWER, "left"))]]))
    assert not [text for text in alone if text.endswith("of the highest")]


@pytest.mark.parametrize("highest", [0.0001, 0.0099])
def test_a_map_under_the_least_says_so_on_its_panel_however_faint_it_is(highest):
    values = RECORD.heatmaps[1].values * (highest / RECORD.heatmaps[1].values.max())
    maps = replace(RECORD.heatmaps[1], values=values, unit="nats")
    figure = draw(RECORD, [[maps.at(find(ANSWER, "left"))]])
    texts = _texts(figure)
    assert "under 0.01 nats" in texts
    assert "Under 0.01 nats: too small for full colour, as gradients of a confident" in " ".join(texts)
    assert "negligible" not in f"{texts} {figure.caption}"


@pytest.mark.parametrize("style", ["words", "findings", "llava_rad"])
@pytest.mark.parametrize("width", [60, "double"])
def test_in_every_style_text_can_be_read_lies_on_the_page_and_overlaps_no_other(style, width):
    figure = draw(LONG, _rows(LONG, "well-circumscribed", "nodule", None)[:1], width=width, style=style)
    _check_texts(figure.figure)
    text = " ".join(_texts(figure))
    assert ("LLaVA-Rad style, a reconstruction" in text) == (style == "llava_rad")
    assert ("a reconstruction" in figure.caption) == (style == "llava_rad")
    assert ("interpolated between" in text) == (style == "llava_rad")


def test_layers_stand_side_by_side_on_one_scale_with_their_names():
    maps = RECORD.heatmaps[0]
    row = [maps.at(find(ANSWER, "left"), layer=layer) for layer in maps.layers]
    figure = draw(RECORD, [row])
    texts = _texts(figure)
    assert [text for text in texts if text.startswith("layer ")] == ["layer 0", "layer 1"]
    assert "for “left” · where the model looked · layer by layer, mean over heads" in texts
    assert scales(row)[0].ends[1] in texts
    assert "Percentages" not in " ".join(texts)
    assert "for “left”, layer by layer." in figure.caption


def test_contours_are_drawn_on_every_panel_of_their_image_and_explained():
    box = np.array([[10.0, 10.0], [10.0, 30.0], [30.0, 30.0], [10.0, 10.0]])
    rows = _rows(PAIR, "left")[:2]
    figure = compose([Part(PAIR, rows, contours={1: [box]})])
    drawn = [len(axes.lines) for axes in figure.figure.axes if axes.bbox.height > 60]
    assert drawn == [0, 0, 2, 2]
    found = next(axes for axes in figure.figure.axes if axes.lines).lines[1].get_xydata()
    assert np.array_equal(found[:, ::-1], box)
    assert "Dotted: reference contours" in " ".join(_texts(figure))
    assert "Dotted: reference contours" in figure.caption
    assert "Dotted" not in draw(PAIR, rows).caption


REPORT = "A nodule is seen . Its rim is smooth . No effusion is there . All bones are intact .".split()


def _noisy(*, colour: bool = False):
    """A report on a radiograph of 1024 by 1024 pixels in 4096 levels, with more noise than most have."""
    words = tuple(f" {word}" if word.isalpha() else word for word in REPORT)
    quiet = records.record(1024, 1024, cells=24, words=words)
    noise = 0.05 * np.random.default_rng(0).standard_normal((1024, 1024))
    pixels = (np.rint(np.clip(quiet.source_image.pixels + noise, 0, 1) * 4095) / 4095).astype(np.float32)
    pixels = np.stack([pixels, pixels**1.2, pixels**1.4], axis=2) if colour else pixels
    return replace(quiet, source_images=(replace(quiet.source_image, pixels=pixels),))


NOISY = _noisy()


@pytest.mark.wide
@pytest.mark.parametrize(
    ("style", "smooth"), [("grid", False), ("words", False), ("findings", False), ("llava_rad", True)]
)
def test_a_double_column_pdf_of_a_noisy_image_stays_under_two_megabytes(style, smooth):
    rows = _rows(NOISY, *range(9))[:1] if style == "llava_rad" else _rows(NOISY, *range(9))
    content = draw(NOISY, rows, style=style, smooth=smooth).to_bytes("pdf")
    images = 9 * len(rows)
    # The image once, a veil for each map, a bar for each method.
    assert content.count(b"/SMask") == images
    assert content.count(b"/Subtype /Image") == 1 + 2 * images + len(rows)
    assert len(content) < 1_200_000


@pytest.mark.skipif(shutil.which("pdftoppm") is None, reason="needs poppler's pdftoppm")
@pytest.mark.parametrize(("record", "smooth"), [(NOISY, False), (_noisy(colour=True), True)])
def test_a_pdf_shows_the_pixels_of_the_png(tmp_path, record, smooth, monkeypatch):
    monkeypatch.setattr(panels, "trace", lambda *_, **__: None)
    figure = draw(record, _rows(record, "nodule"), width=60, smooth=smooth)
    figure.save(tmp_path / "figure.pdf")
    # Four dots for one, to look at their middles: a page's edge need not lie on a dot.
    command = ["pdftoppm", "-r", "1200", "-singlefile", tmp_path / "figure.pdf", tmp_path / "page"]
    subprocess.run(command, check=True)
    page = np.asarray(Image.open(tmp_path / "page.ppm"))[2::4, 2::4]
    for axes, shown in zip(figure.figure.axes, _drawn(figure), strict=True):
        left, _, _, top = axes.bbox.extents.round().astype(int)
        above, (rows, cols, _) = page.shape[0] - top, shown.shape
        other = np.abs(page[above : above + rows, left : left + cols].astype(int) - shown)
        assert other.max() <= 2
        assert (other > 1).mean() < 0.005


def test_at_another_resolution_the_flat_image_is_drawn():
    figure = draw(RECORD, _rows(RECORD, "left")[:1], width="single")
    stream = io.BytesIO()
    figure.figure.savefig(stream, format="png", dpi=150)
    half = np.asarray(Image.open(stream).convert("RGB")).astype(int)
    full = np.asarray(Image.open(io.BytesIO(figure.to_bytes("png"))).reduce(2))[
        : half.shape[0], : half.shape[1]
    ]
    # Outlines and letters differ along their edges.
    assert np.percentile(np.abs(half - full), 75) <= 4


@pytest.mark.skipif(shutil.which("pdffonts") is None, reason="needs poppler's pdffonts")
def test_pdffonts_finds_every_font_embedded_as_truetype(tmp_path):
    draw(LONG, _rows(LONG, "nodule")[:1], style="words").save(tmp_path / "figure.pdf")
    listed = subprocess.run(
        ["pdffonts", tmp_path / "figure.pdf"], check=True, capture_output=True, text=True
    ).stdout.splitlines()[2:]
    assert len(listed) >= 2
    assert all("TrueType" in line and line.split()[-5:-2] == ["yes", "yes", "yes"] for line in listed)


FINGERPRINTS = """
import hashlib, sys
from groundviz.record import store
from groundviz.explanation import Explanation
from groundviz.render.pages import html
from tests.support import records
from tests.support.figures import draw
record = records.record()
explanation = Explanation.from_record(record)
figure = explanation.figure("nodule", "attention", width=60, smooth=True, contours=(20, 60, 40, 80))
images = [figure.to_bytes(kind) for kind in ("pdf", "svg", "png", "tiff")]
for content in [*images, html.page([record], [figure]).encode(), store.pack(record)]:
    print(hashlib.sha256(content).hexdigest())
print(sorted({"torch", "transformers", "matplotlib.pyplot"} & set(sys.modules)))
"""


@pytest.mark.wide
def test_another_process_makes_the_same_bytes_and_never_loads_torch_or_pyplot():
    root = Path(__file__).parents[3]
    printed = [
        subprocess.run(
            [sys.executable, "-W", "error", "-c", FINGERPRINTS],
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split("\n")
        for seed in ("1", "2")
    ]
    assert printed[0] == printed[1]
    assert len(set(printed[0])) == 8
    assert printed[0][6] == "[]"


def _grey(pixels):
    """8-bit pixels as a printer without colours renders them."""
    return np.asarray(Image.fromarray(pixels).convert("L")).astype(int)


def test_in_greyscale_negative_cells_are_told_by_dashes():
    figure = draw(RECORD, _rows(RECORD, "left", "nodule"))
    dashes = {
        tuple(lines.get_linestyle()[0][1] or ())
        for axes in figure.figure.axes
        for lines in axes.findobj(LineCollection)
        if to_rgb(lines.get_color()[0]) == (1.0, 1.0, 1.0)
    }
    assert len(dashes) == 2
    assert "dashed where negative" in " ".join(_texts(figure))


def test_a_bar_has_its_ticks_and_a_signed_one_says_which_side_is_for():
    plain, signed = (draw(RECORD, [row]) for row in _rows(RECORD, "left"))
    for figure, ticks in ((plain, [0.5, 0.5**0.5]), (signed, [0.25, 0.5, 0.75])):
        (bar,) = (axes for axes in figure.figure.axes if axes.bbox.height < 40)
        marks = {float(lines.get_segments()[0][0][0]) for lines in bar.findobj(LineCollection)}
        assert sorted(marks) == pytest.approx(ticks)
    assert {"for", "against"} <= set(_texts(signed))
    assert not {"for", "against"} & set(_texts(plain))


def test_methods_of_one_unit_share_a_scale_and_a_bar():
    plain = RECORD.heatmaps[0]
    other = replace(plain, method="attention_rollout", values=plain.values / 2)
    both = replace(RECORD, heatmaps=(plain, other))
    rows = [[maps.at(find(ANSWER, "left"))] for maps in (plain, other)]
    texts = _texts(draw(both, rows))
    assert texts.count("share of attention") == 1
    assert texts.count(scales(rows[0])[0].ends[1]) == 1


def test_header_and_legend_may_stand_elsewhere_but_not_what_is_missing():
    whole, bare = (draw(RECORD, _rows(RECORD, "left"), header=on, legend=on) for on in (True, False))
    assert {"Question", "Answer"} <= set(_texts(whole))
    assert not {"Question", "Answer"} & set(_texts(bare))
    assert "Outlined" not in " ".join(_texts(bare))
    assert bare.caption == whole.caption
    flawed = records.flawed()
    assert "Beware" in _texts(draw(flawed, _rows(flawed), header=False))
    noted = " ".join(_texts(draw(PAIR, _rows(PAIR, "left"), legend=False)))
    assert "Image 2 of 2: shown inverted (MONOCHROME1)." in noted


def test_the_journal_s_font_is_taken_where_it_is_installed():
    rows = _rows(RECORD, "left")
    with mpl.rc_context({"font.family": ["No such font", "DejaVu Serif"]}):
        serif = draw(RECORD, rows)
        assert b"DejaVuSerif" in serif.to_bytes("pdf")
        _check_texts(serif.figure)
    assert {text.get_fontfamily()[0] for text in draw(RECORD, rows).figure.texts} == {"DejaVu Sans"}


@pytest.mark.parametrize("name", ["STIXGeneral", "cmr10", "size"])
def test_letters_that_the_font_lacks_come_from_another(name):
    tiny = replace(RECORD.heatmaps[0], values=1e-7 * RECORD.heatmaps[0].values, unit="relevancy")
    flawed = replace(records.flawed(), heatmaps=(tiny,))
    with mpl.rc_context({"font.family": [name]}), warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = draw(flawed, _rows(flawed, "left"))
        figure.to_bytes("pdf")
        assert any("10⁻⁹" in text for text in _texts(figure))


def test_where_each_map_has_its_own_scale_the_words_hold_for_small_ones_too():
    plain = replace(RECORD.heatmaps[0], unit="nats")
    weak, strong = plain.at(find(ANSWER, "left")), plain.at(find(ANSWER, "nodule"))
    weak = replace(weak, values=weak.values / 100)
    rule = "0 to the highest, each map its own scale, or up to 0.01 where a map is under that"
    for row in ([weak, strong], [strong, weak]):
        figure = draw(RECORD, [row], rule="each")
        assert rule in figure.caption
        assert rule in " ".join(_texts(figure))


def test_the_highest_value_of_several_parts_or_layers_is_told_with_its_own():
    strong = replace(RECORD, heatmaps=(replace(RECORD.heatmaps[0], values=10 * RECORD.heatmaps[0].values),))
    parts = [Part(one, _rows(one, "left")[:1], name) for one, name in ((RECORD, "Prior"), (strong, "Now"))]
    assert re.search(r"highest \S+ at row \d+, column \d+ in \(b\);", compose(parts).caption)
    plain = strong.heatmaps[0]
    row = [replace(plain.at(find(ANSWER, "left"), layer=layer)) for layer in plain.layers]
    assert re.search(r"highest \S+ at row \d+, column \d+ in layer [01];", draw(RECORD, [row]).caption)


def test_more_parts_than_letters_have_their_names_alone():
    parts = [Part(RECORD, _rows(RECORD, "left")[:1], f"Case {number}") for number in range(27)]
    assert compose(parts).caption.startswith("Case 0: ")


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"rule": "clip"}, UnknownName, "no scale 'clip': known are 'root', 'linear', 'log', 'each'"),
        ({"colours": "jet"}, UnknownName, "no colours called 'jet'"),
        ({"opacity": 0.0}, OptionError, "The opacity is 0.0: expected a number above 0 to 1"),
        ({"opacity": 85}, OptionError, "The opacity is 85"),
        ({"opacity": "x"}, OptionError, "The opacity is 'x'"),
        ({"opacity": None}, OptionError, "The opacity is None"),
        ({"opacity": True}, OptionError, "The opacity is True"),
        ({"colours": ["ember"]}, UnknownName, r"no colours called \['ember'\]"),
        ({"width": None}, UnknownName, "no figure width None"),
        ({"width": [89]}, UnknownName, r"no figure width \[89\]"),
    ],
)
def test_a_look_that_cannot_be_is_refused(options, error, says):
    with pytest.raises(error, match=says):
        draw(RECORD, _rows(RECORD, "left"), **options)


def test_chosen_colours_and_opacity_are_drawn_and_told():
    rows = _rows(RECORD, "left")[:1]
    figure = draw(RECORD, rows, colours="viridis", opacity=0.5)
    _, panel, _ = _drawn(figure)
    (scale,) = scales(rows[0], colours="viridis", opacity=0.5)
    blended = overlay.to_bytes(overlay.overlaid(RECORD.source_image, panel.shape[:2], rows[0][0], scale))
    assert (panel == blended).all(axis=2).mean() > 0.9
    assert "from 0 at zero to 50% at the scale's end" in " ".join(_texts(figure))


def test_what_is_not_whole_is_seen_in_the_figure_and_read_in_its_caption():
    flawed = records.flawed()
    figure = draw(flawed, _rows(flawed, None, "nodule"))
    texts = _texts(figure)
    assert texts.count("112 of 480 steps") == 2
    for sentence in ("checkpoint A", "⟦…⟧", "Beware", "interrupted: 112 of 480 steps"):
        assert sentence in texts
    told = " ".join(texts)
    for sentence in (
        "The answer was cut off by its length. Interrupted: Occlusion rests on 112 of 480 steps.",
        "Interrupted: Shapley was asked for and never ran.",
        "standard errors at most 12% of a map's largest value",
    ):
        assert sentence in told
    warned = {text.get_text().strip() for text in figure.figure.findobj(Text) if text.get_color() == WARN}
    assert {"⟦…⟧", "Beware", "interrupted: 112 of 480 steps"} <= warned
    for sentence in (
        "it answered “nodule in the left upper zone.” ⟦…⟧, cut off by its length. First",
        "Labelled “checkpoint A”. Interrupted: Occlusion rests on 112 of 480 steps. Interrupted: Shapley",
        "Occlusion (Δ log-prob per token; standard errors at most 12% of a map's largest value): colours",
        "weights sha256:0f3a, adapter lung 9f86d081884c7d65, float32",
        "Generated with do_sample False, max_new_tokens 7.",
    ):
        assert sentence in figure.caption


def test_a_figure_of_whole_maps_names_what_never_ran_and_not_what_it_does_not_show():
    flawed = records.flawed()
    figure = draw(flawed, _rows(flawed, None)[:1])
    assert "Interrupted: Shapley was asked for and never ran." in figure.caption
    assert "Occlusion" not in figure.caption
    assert not [text for text in _texts(figure) if "480" in text]


def test_a_whole_figure_is_not_cluttered():
    figure = draw(RECORD, _rows(RECORD, None, "nodule"))
    for word in ("nterrupted", "cut off", "⟦", "Beware", "steps", "standard error", "Labelled", "Generated"):
        assert word not in " ".join([*_texts(figure), figure.caption])


def test_a_panel_may_be_faint_and_interrupted_and_without_evidence_at_once():
    maps = replace(RECORD.heatmaps[0], samples=Samples(done=1, asked=9))
    values = maps.values.copy()
    values[1:] *= 1e-3
    values[2] = 0.0
    record = replace(RECORD, heatmaps=(replace(maps, values=values),))
    texts = _texts(draw(record, _rows(record, "nodule", " in", " the")))
    assert texts.count("1 of 9 steps") == 3
    assert (texts.count("no evidence"), sum("of the highest" in text for text in texts)) == (1, 1)


def test_markup_in_what_a_record_brings_stays_text_in_an_svg():
    sly = "<script>x</script>&amp;\u202e"
    flawed = records.flawed()
    made = replace(flawed.provenance, adapters={sly: sly}, generation={sly: sly}, certificate=sly)
    record = replace(flawed, label=sly, unmeasured=(sly,), provenance=made)
    figure = draw(record, _rows(record, None))
    svg = figure.to_bytes("svg")
    root = ElementTree.fromstring(svg)  # noqa: S314
    assert not [node for node in root.iter() if node.tag.endswith("script")]
    assert b"<script" not in svg
    assert "\u202e" not in svg.decode() + figure.caption
    assert "<script>x</script>&amp;⟦U+202E⟧" in figure.caption


def test_a_map_per_token_has_its_error_per_token():
    flawed = records.flawed()
    alone = draw(flawed, [[flawed.heatmaps[1].at(flawed.target)]])
    assert "standard error at most 12% of the largest value, 3% in the median cell" in alone.caption
    assert "at most 12%" in draw(flawed, _rows(flawed, None, "nodule")[1:]).caption
