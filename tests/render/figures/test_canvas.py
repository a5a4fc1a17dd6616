"""Text is set by measure: lines fit, nothing is lost silently, and images sit on whole dots."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg

from groundviz.render.figures import canvas as page
from groundviz.render.figures.canvas import GREY, Page, Paragraph, Run, fitted, measure, paragraph, printable


def _text(block: Paragraph) -> str:
    return "".join(run.text for line in block.lines for _, run in line)


@settings(deadline=None, max_examples=40)
@given(st.text(alphabet="abc WMi.,", max_size=60), st.floats(12.0, 80.0))
def test_lines_fit_and_hold_every_character(text, width):
    block = paragraph([Run(text)], 8.0, width, most_lines=1000)
    assert _text(block) == text
    for line in block.lines:
        for left, run in line:
            assert left + measure(Run(run.text.rstrip()), 8.0) <= width + 0.01


def test_a_long_text_ends_in_an_ellipsis():
    block = paragraph([Run("word " * 100)], 8.0, 40.0, most_lines=3)
    assert len(block.lines) == 3
    assert block.lines[-1][-1][1] == Run("…", colour=GREY)
    assert block.width <= 40.0


def test_a_word_longer_than_the_line_is_broken():
    block = paragraph([Run("w" * 200)], 8.0, 40.0, most_lines=99)
    assert len(block.lines) > 4
    assert _text(block) == "w" * 200


def test_bold_runs_keep_their_place_and_neighbours_of_one_style_are_joined():
    block = paragraph([Run("the left "), Run("upper zone", bold=True), Run(" is clear")], 8.0, 200.0)
    ((first, second, third),) = block.lines
    assert [run.text for _, run in (first, second, third)] == ["the left ", "upper zone", " is clear"]
    assert second[0] == pytest.approx(measure(Run("the left "), 8.0))
    assert third[0] - second[0] == pytest.approx(measure(Run("upper zone", bold=True), 8.0), abs=0.1)


def test_height_is_lines_times_leading():
    one, three = paragraph([Run("x")], 6.0, 50.0), paragraph([Run("x " * 90)], 6.0, 50.0, most_lines=3)
    assert one.height == pytest.approx(6 * 1.3 * 25.4 / 72)
    assert three.height == pytest.approx(3 * one.height)


def test_a_label_is_cut_to_its_room():
    short = fitted(Run("a rather long label", bold=True), 7.0, 15.0)
    assert short.text.endswith("…")
    assert short.bold
    assert measure(short, 7.0) <= 15.0
    assert fitted(Run("fits"), 7.0, 15.0) == Run("fits")
    assert fitted(Run("i" * 100_000), 7.0, 15.0).text == fitted(Run("i" * 200), 7.0, 15.0).text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\n lines\tand tabs", "two lines and tabs"),
        ("\0\x1b", "⟦U+0000⟧⟦U+001B⟧"),
        ("μ ≥ 5 → ok", "μ ≥ 5 → ok"),
        ("肺 🦠", "⟦U+80BA⟧ ⟦U+1F9A0⟧"),
        ("\u202e", "⟦U+202E⟧"),
        ("$x_1$ \\frac", "$x_1$ \\frac"),
    ],
)
def test_what_the_font_cannot_draw_is_spelled_out(text, shown):
    assert printable(text) == shown


def test_very_long_texts_are_cut_before_they_are_measured():
    assert len(printable("x" * 1_000_000)) < 10_000


def test_a_raster_arrives_dot_by_dot_wherever_it_is_placed():
    sheet = Page(61.37, 40.0)
    rng = np.random.default_rng(0)
    placed = []
    for left, top, rows, cols in [(0.0, 0.0, 37, 53), (13.37, 7.77, 101, 77), (40.01, 30.03, 50, 200)]:
        pixels = rng.integers(0, 256, (rows, cols, 3)) / 255.0
        sheet.image(left, top, pixels.astype(np.float32), (rows, cols))
        placed.append((page.dots(left), page.dots(top), pixels))
    canvas = FigureCanvasAgg(sheet.figure)
    canvas.draw()
    drawn = np.asarray(canvas.buffer_rgba())[..., :3]
    for left, top, pixels in placed:
        rows, cols = pixels.shape[:2]
        assert np.array_equal(drawn[top : top + rows, left : left + cols], np.rint(pixels * 255))
