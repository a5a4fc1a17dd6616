"""Panels share the page evenly, in the patient's proportions."""

from dataclasses import replace
from itertools import pairwise

import pytest

from groundviz.render.base.colour import scales
from groundviz.render.figures.canvas import Run, measure, millimetres
from groundviz.render.figures.panels import Bar, Layout, Sentence
from tests.support import records


@pytest.mark.parametrize("width", [58.0, 87.0, 118.0, 181.0, 400.0])
@pytest.mark.parametrize("count", range(1, 15))
@pytest.mark.parametrize("shape", [(96, 96), (60, 90), (90, 60), (8, 400), (400, 8)])
def test_panels_fill_their_lines_and_stay_on_the_page(width, count, shape):
    layout = Layout.of(records.source_image(*shape), width, count)
    lines = -(-count // layout.per_line)
    assert layout.per_line * lines - count < lines
    assert layout.pitch * (layout.per_line - 1) + millimetres(layout.shape[1]) <= width + 0.1
    assert min(layout.shape) >= 8
    assert millimetres(layout.shape[0]) <= 80.1


@pytest.mark.parametrize(("spacing", "aspect"), [(None, 1.5), ((0.2, 0.2), 1.5), ((0.5, 1.0), 0.75)])
def test_panels_have_the_patient_s_proportions(spacing, aspect):
    source_image = replace(records.source_image(90, 60), spacing_mm=spacing)
    rows, cols = Layout.of(source_image, 181.0, 5).shape
    assert rows / cols == pytest.approx(aspect, rel=0.02)


def test_no_panel_is_narrower_than_its_label_can_be_read():
    assert Layout.of(records.source_image(400, 8), 181.0, 3).pitch >= 24.0


def test_source_images_of_different_proportions_share_columns_and_keep_their_shape():
    source_images = [records.source_image(60, 150), records.source_image(200, 50)]
    alone = [Layout.of(source_image, 181.0, 2) for source_image in source_images]
    together = Layout.of_each(source_images, 181.0, 2)
    assert [layout.shape for layout in together] == [layout.shape for layout in alone]
    assert [layout.room for layout in together] == [layout.room for layout in alone]
    assert {layout.pitch for layout in together} == {alone[0].pitch} != {alone[1].pitch}


def test_a_bar_takes_no_more_width_than_it_has_and_its_labels_stand_apart():
    record = records.record()
    for maps in record.heatmaps:
        (scale,) = scales([maps.at(record.target)])
        for width in (60.0, 181.0):
            bar = Bar(scale, scale.rule, True, width)
            labels = sorted(bar._labels())
            assert {scale.ends[0], scale.ends[1]} <= {text for _, text in labels}
            ends = [
                (at - measure(Run(name), 6.0) / 2, at + measure(Run(name), 6.0) / 2) for at, name in labels
            ]
            assert all(stop < start for (_, stop), (start, _) in pairwise(ends))
            assert bar.height < 14


def _set(sentence: Sentence) -> tuple[list[str], str]:
    """Each line as text, and what is bold."""
    lines = sentence.set(34.0).lines
    assert all(left + measure(run, 6.0) <= 34.1 for line in lines for left, run in line)
    bold = "".join(run.text for line in lines for _, run in line if run.bold)
    return ["".join(run.text for _, run in line) for line in lines], bold


def test_a_short_sentence_is_set_whole_with_its_part_in_bold():
    lines, bold = _set(Sentence("There is a ", (("nodule", True),), " in the left lung."))
    assert " ".join(line.strip() for line in lines) == "There is a nodule in the left lung."
    assert bold.strip() == "nodule"


@pytest.mark.parametrize(("before", "after"), [(60, 0), (0, 60), (60, 60), (3, 60)])
def test_a_long_sentence_keeps_what_is_near_its_part(before, after):
    lines, bold = _set(Sentence("far " * before, (("nodule", True),), " away" * after))
    text = " ".join(lines)
    assert bold.strip() == "nodule"
    assert 2 <= len(lines) <= 4
    assert text.startswith("…") == (before == 60)
    assert text.endswith("…") == (after == 60)
    assert ("far" in text) == (before > 0)
    assert ("away" in text) == (after > 0)


def test_a_finding_that_is_a_whole_sentence_is_not_bold_and_may_be_long():
    lines, bold = _set(Sentence("", ((" " + "word " * 25, True),), ""))
    assert bold == ""
    assert lines[0].startswith("word")
    assert 4 < len(lines) <= 8
    assert _set(Sentence("", (("word " * 99, True),), ""))[0][-1].endswith("…")
