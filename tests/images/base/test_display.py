"""From samples to a SourceImage: range rules, transparency, hash."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from groundviz.errors import ImageError
from groundviz.images.base.display import Samples, displayed, fingerprint, finished, natural_top


def shown(values: object, **more: object) -> np.ndarray:
    array = np.asarray(values)
    samples = Samples(values=array, top=natural_top(array), **more)  # type: ignore[arg-type]
    return displayed(samples, source="array", window=None).pixels


@pytest.mark.parametrize(
    ("kind", "top"), [("?", 1.0), ("u1", 255.0), (">u2", 65535.0), ("i2", None), ("u4", None), ("f4", None)]
)
def test_natural_tops(kind: str, top: float | None) -> None:
    assert natural_top(np.zeros(1, kind)) == top


def test_window_is_linear_in_raw_units() -> None:
    source_image = displayed(
        Samples(values=np.array([[0, 100, 150, 200, 255]], np.uint8), top=255.0),
        source="array",
        window=(150, 100),
    )
    assert source_image.pixels.tolist() == [[0.0, 0.0, 0.5, 1.0, 1.0]]
    assert (source_image.window, source_image.raw_range) == ((150.0, 100.0), (0.0, 255.0))
    assert source_image.notes == ("Window as given: centre 150, width 100.",)


def test_transparency_on_white() -> None:
    alpha = np.array([[1.0, 0.0, 0.25]], np.float32)
    assert shown([[0.5, 0.5, 0.4]], alpha=alpha).round(6).tolist() == [[0.5, 1.0, pytest.approx(0.85)]]
    already = shown([[0.5, 0.0, 0.1]], alpha=alpha, premultiplied=True)
    assert already.round(6).tolist() == [[0.5, 1.0, pytest.approx(0.85)]]
    colour = shown([[[1.0, 0.0, 0.0]]], alpha=np.array([[0.5]], np.float32))
    assert colour.tolist() == [[[1.0, 0.5, 0.5]]]


def test_only_visible_transparency_is_noted() -> None:
    values = np.zeros((1, 2), np.uint8)
    for alpha, noted in ((1.0, False), (0.5, True)):
        samples = Samples(values=values, top=255.0, alpha=np.full((1, 2), alpha, np.float32))
        notes = displayed(samples, source="array", window=None).notes
        assert any("alpha" in note for note in notes) == noted


def test_inverted() -> None:
    samples = Samples(values=np.array([[0, 255]], np.uint8), top=255.0, inverted=True)
    source_image = displayed(samples, source="tiff", window=None)
    assert source_image.pixels.tolist() == [[1.0, 0.0]]
    assert "Inverted" in source_image.notes[0]


def test_notes_come_in_order() -> None:
    samples = Samples(values=np.array([[-3, 5]]), top=None, notes=("first",))
    notes = displayed(samples, source="array", window=None).notes
    assert notes[0] == "first"
    assert "from -3 to 5" in notes[1]


def test_dark_sixteen_bits_are_pointed_out() -> None:
    dark = displayed(Samples(values=np.array([[0, 4095]], np.uint16), top=65535.0), source="png", window=None)
    assert "looks dark: its brightest value is 6.2% of white" in dark.notes[1]
    bright = displayed(
        Samples(values=np.array([[0, 9, 65535]], np.uint16), top=65535.0), source="png", window=None
    )
    assert bright.notes == ("Values from 0 to 65535 are shown from black to white.",)


def test_fingerprint_is_of_shape_and_little_endian_values() -> None:
    pixels = np.array([[0.0, 0.5], [1.0, 0.25]], np.float32)
    expected = hashlib.sha256(b"(2, 2)" + pixels.astype("<f4").tobytes()).hexdigest()
    assert fingerprint(pixels) == fingerprint(np.asfortranarray(pixels)) == expected
    assert finished(pixels, source="array", raw_range=(0.0, 1.0), notes=()).sha256 == expected


def test_colours_without_a_range_need_one() -> None:
    with pytest.raises(ImageError, match=r"Colours .* from 0 to 300"):
        shown(np.array([[[0, 7, 300]]]))
    samples = Samples(values=np.array([[[0, 7, 300]]]), top=None)
    assert displayed(samples, source="array", window=(150, 300)).pixels.shape == (1, 1, 3)
