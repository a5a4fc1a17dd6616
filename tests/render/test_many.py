"""Thousands of tokens and targets are drawn in bounded time, or refused at once with what to do."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from groundviz.errors import TargetError
from groundviz.explanation import Explanation
from groundviz.record.targets import find
from groundviz.record.types import Record, Samples
from groundviz.render.base import captions
from groundviz.render.figures.file import PaperFigure
from groundviz.render.pages import html
from groundviz.render.viewer import pack
from tests.support import records
from tests.support.figures import draw

COUNT = 5000
# What was quadratic took minutes; on a busy machine what is linear takes seconds.
SECONDS = 60


@pytest.fixture(scope="module")
def many() -> Record:
    """An answer of thousands of words, each asked for, each with a map and its error."""
    record = records.record(48, 48, cells=4, words=[f" w{number}" for number in range(COUNT)])
    maps = records.heatmaps("attention", record.prompt.grids[0], record.answer, (48, 48), layers=1)
    maps = replace(maps, values=maps.values[:, :, :1])
    maps = replace(maps, standard_error=abs(maps.values) / 8, samples=Samples(done=8, asked=8))
    targets = tuple(find(record.answer, index) for index in range(COUNT))
    return replace(record, heatmaps=(maps,), targets=targets)


@pytest.fixture(autouse=True)
def bounded():
    begun = time.process_time()
    yield
    assert time.process_time() - begun < SECONDS


def test_a_payload_holds_them_all(many):
    header, [values] = pack.read(pack.pack(many))
    assert len(header["tokens"]) == COUNT + 1
    assert (len(header["parts"]), values.shape[0], len(header["maps"][0]["errors"])) == (COUNT, COUNT, COUNT)
    assert header["maps"][0]["errors"][7].startswith("standard error at most 13% of the largest value")


@pytest.mark.parametrize("most", [None, 24])
def test_a_page_images_as_many_as_it_says(many, most, monkeypatch):
    monkeypatch.setattr(html, "_MOST_SMALL", 40)
    page = (
        html.fragment(many)
        if most
        else html.page([many], [PaperFigure(Figure(figsize=(0.1, 0.1)), "A caption.")])
    )
    shown = most or 40
    assert f"These are the first {shown} of 5,001 tokens." in page
    assert "These are the first 48 of the 5,000 parts of the answer that were asked for." in page
    assert page.count('<p class="token">') == shown
    assert page.count("<img") < 48 + shown + 60


@pytest.mark.wide
@pytest.mark.parametrize("style", ["grid", "words", "llava_rad"])
@pytest.mark.parametrize("asked", ["each", "whole"])
def test_a_figure_shows_the_first_and_says_so(many, style, asked):
    record = many if asked == "each" else replace(many, targets=(find(many.answer),))
    made = Explanation(record).figure(style=style)
    assert 1 <= len(made.figure.axes) < 20
    assert ("Of 5,000 parts that were asked for, " in made.caption) == (asked == "each")


def test_a_figure_of_too_many_is_refused_at_once(many):
    begun = time.process_time()
    with pytest.raises(TargetError, match=r"5,000 maps cannot be drawn: at most 300 fit. Name some parts"):
        Explanation(many).figure(list(range(COUNT)))
    assert time.process_time() - begun < SECONDS / 4
    with pytest.raises(TargetError, match=r"301 maps cannot be drawn"):
        draw(many, [[many.heatmaps[0].at(find(many.answer, index)) for index in range(301)]])


@pytest.mark.wide
def test_a_figure_that_no_image_file_holds_is_refused_before_it_is_drawn(many):
    rows = [[many.heatmaps[0].at(find(many.answer, index)) for index in range(290)]]
    with pytest.raises(TargetError, match=r"would be [\d,]+ mm high at 800 mm width"):
        draw(replace(many, source_images=(records.source_image(400, 40),)), rows, width=800, style="words")


def test_all_that_were_asked_for_need_no_note(many):
    record = replace(many, targets=many.targets[:2])
    assert "that were asked for" not in Explanation(record).figure().caption
    assert "that were asked for" not in html.fragment(record)


def test_the_words_of_a_long_answer_are_those_of_a_short_one(many):
    pieces = captions.pieces(many.answer, find(many.answer))
    assert [piece.text for piece in pieces[:3]] == ["w0", "w1", "w2"]
    assert [piece.tokens for piece in pieces] == [(index,) for index in range(COUNT)]
    assert captions.part(many.answer, many.targets[5]) == "w5"
    assert captions.part(many.answer, find(many.answer)) == "whole answer"
