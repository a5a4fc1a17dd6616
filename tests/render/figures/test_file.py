"""A figure's bytes are the same every time, in every format, whatever the caller's settings."""

import io

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from groundviz.errors import StoreError, UnknownName
from groundviz.render.figures.canvas import Page, Run, paragraph
from groundviz.render.figures.file import PaperFigure, drawing

STARTS = {"pdf": b"%PDF-", "svg": b"<?xml", "png": b"\x89PNG", "tiff": b"II*\0"}


@pytest.fixture(scope="module")
def small() -> PaperFigure:
    with drawing():
        page = Page(60.0, 20.0)
        page.text(1.0, 1.0, paragraph([Run("Where is "), Run("the nodule?", bold=True)], 8.0, 58.0))
        page.image(2.0, 8.0, np.random.default_rng(0).random((60, 60, 3), np.float32), (60, 60))
    return PaperFigure(page.figure, "A caption.")


@pytest.mark.parametrize("suffix", [".pdf", ".svg", ".png", ".tif", ".tiff", ".PNG"])
def test_the_suffix_names_the_format(small, tmp_path, suffix):
    written = small.save(tmp_path / f"figure{suffix}")
    kind = suffix.lower().removeprefix(".").replace("tiff", "tif").replace("tif", "tiff")
    assert written.read_bytes() == small.to_bytes(kind)
    assert written.read_bytes().startswith(STARTS[kind])
    assert list(tmp_path.iterdir()) == [written]


@pytest.mark.parametrize("name", ["figure", "figure.jpg", "figure.eps", "figure.html"])
def test_an_unknown_format_is_answered_with_the_known_ones(small, tmp_path, name):
    with pytest.raises(UnknownName, match="known are pdf, svg, png, tiff"):
        small.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_a_store_error(small, tmp_path):
    with pytest.raises(StoreError):
        small.save(tmp_path / "missing" / "figure.pdf")


@pytest.mark.parametrize("kind", STARTS)
def test_bytes_are_equal_under_any_settings_and_hold_no_date(small, kind):
    before = small.to_bytes(kind)
    sly = {"pdf.fonttype": 3, "savefig.dpi": 50, "savefig.bbox": "tight", "savefig.facecolor": "red"}
    with mpl.rc_context({**sly, "svg.fonttype": "path", "svg.hashsalt": None, "image.origin": "lower"}):
        assert small.to_bytes(kind) == before
    assert small.to_bytes(kind) == before
    assert b"Date" not in before


def test_settings_of_the_caller_are_given_back(small):
    with mpl.rc_context({"pdf.fonttype": 3, "font.size": 33.0}):
        small.to_bytes("png")
        assert (mpl.rcParams["pdf.fonttype"], mpl.rcParams["font.size"]) == (3, 33.0)


def test_a_notebook_gets_half_the_resolution(small):
    full, half = (Image.open(io.BytesIO(content)) for content in (small.to_bytes("png"), small._repr_png_()))
    assert full.size == (708, 236)
    assert half.size == (354, 118)
    assert small.preview() == small._repr_png_()
