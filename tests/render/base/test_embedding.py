"""Notebooks and pages hold as much of the image as they were told to, and say so."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

import groundviz
from groundviz.comparison import compare
from groundviz.explanation import Explanation
from groundviz.render.base import embedding
from groundviz.render.pages import html
from groundviz.render.viewer import pack
from tests.support import records
from tests.support.tiles import images_of

RECORD = records.record(300, 520)
EXPLANATION = Explanation(RECORD)


@pytest.fixture(autouse=True)
def given_back() -> Iterator[None]:
    yield
    groundviz.options.display, groundviz.options.embed = "viewer", "image"


def _packed(record: groundviz.record.types.Record) -> np.ndarray:
    """The image as the payload of a viewer holds it."""
    _, ((codes, *_), *_) = images_of(pack.pack(record))
    return np.rint(codes[..., 0] / 257).astype(np.uint8)


@pytest.mark.parametrize(
    ("display", "embed", "kinds"),
    [
        ("viewer", "image", {"text/plain", "text/html", "image/png"}),
        ("png", "image", {"text/plain", "image/png"}),
        ("viewer", "none", {"text/plain", "text/html"}),
        ("png", "none", {"text/plain"}),
    ],
)
def test_a_notebook_keeps_what_it_was_told_to(display, embed, kinds):
    groundviz.options.display, groundviz.options.embed = display, embed
    for shown in (EXPLANATION, compare([EXPLANATION, EXPLANATION], names=["One", "Two"])):
        assert set(shown._repr_mimebundle_()) == kinds


def test_nothing_is_changed_unasked():
    assert embedding.embedded(RECORD) is RECORD


def test_a_small_image_has_the_image_s_size_and_few_pixels():
    groundviz.options.embed = "small"
    small = embedding.embedded(RECORD).source_image.pixels
    assert (small.shape, small.dtype) == (RECORD.source_image.shape, np.float32)
    assert len(np.unique(small, axis=0)) <= 100
    assert len(np.unique(small, axis=1)[0]) <= 174
    assert small[3:6, 3:6] == pytest.approx(RECORD.source_image.pixels[3:6, 3:6].mean(), abs=1e-6)
    assert abs(float(small.mean()) - float(RECORD.source_image.pixels.mean())) < 0.01


def test_without_pixels_the_maps_lie_on_black():
    groundviz.options.embed = "none"
    blank = embedding.embedded(RECORD)
    assert not _packed(blank).any()
    assert blank.heatmaps is RECORD.heatmaps


@pytest.mark.parametrize(
    ("embed", "sentence"),
    [("image", "contains the image itself"), ("small", "to 256 pixels"), ("none", "contains no image")],
)
def test_pages_and_outputs_say_what_they_hold_and_hold_no_more(embed, sentence):
    groundviz.options.embed = embed
    held = base64.b64encode(pack.pack(RECORD))[-4000:].decode()
    for text in (html.fragment(RECORD), EXPLANATION.to_html()):
        assert sentence in text
        assert (held in text) == (embed == "image")


def test_several_images_are_all_left_out():
    groundviz.options.embed = "none"
    pair = embedding.embedded(records.pair())
    assert not any(source_image.pixels.any() for source_image in pair.source_images)
    assert "contains no image" in html.fragment(records.pair())


def test_a_figure_that_a_notebook_shows_holds_no_more_than_other_outputs():
    made = EXPLANATION.figure(methods="attention")
    whole = made._repr_png_()
    assert whole == made.preview()
    groundviz.options.embed = "small"
    coarse = Image.open(io.BytesIO(made._repr_png_()))
    assert coarse.size == Image.open(io.BytesIO(whole)).size
    assert made._repr_png_() == Explanation(embedding.embedded(RECORD)).figure(methods="attention").preview()
    assert made._repr_png_() != whole
    groundviz.options.embed = "none"
    assert made._repr_png_() is None
    assert made.preview() == whole


def test_what_prints_an_image_prints_no_pixel_and_no_hash():
    told = f"{RECORD.source_image!r} {RECORD!r}"
    assert "from array" in told
    assert RECORD.source_image.sha256 not in told
    assert str(RECORD.source_image.pixels[0, 0])[:6] not in repr(RECORD.source_image)
