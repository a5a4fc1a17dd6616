"""Grey, colour and palette frames against values worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from groundviz.images.base.window import Table, Window
from groundviz.images.dicom.layout import Layout
from groundviz.images.dicom.presentation import colour, grey, indexed
from groundviz.images.dicom.shades import Shades
from groundviz.record.types import SourceImage

LAYOUT = Layout(
    rows=1,
    cols=4,
    frames=1,
    index=0,
    samples=1,
    photometric="MONOCHROME2",
    bits_allocated=16,
    bits_stored=16,
    signed=False,
    planar=0,
)
SHADES = Shades(
    factor=1.0,
    intercept=0.0,
    modality=None,
    window=None,
    voi=None,
    function="LINEAR",
    padding=None,
    notes=(),
)
STORED = np.array([[0, 100, 200, 1000]], np.uint16)


def shown(
    stored: np.ndarray = STORED, window: Any = None, *, layout: Layout = LAYOUT, **changes: Any
) -> SourceImage:
    return grey(stored, layout, replace(SHADES, **changes), window)


def test_without_a_window_the_values_are_spread() -> None:
    source_image = shown()
    np.testing.assert_allclose(source_image.pixels, [[0, 0.1, 0.2, 1]], atol=1e-7)
    assert (source_image.window, source_image.raw_range, source_image.source) == (
        None,
        (0.0, 1000.0),
        "dicom",
    )
    assert source_image.notes[0].startswith("No window in the file: values from 0 to 1000")


def test_rescaling_comes_before_the_window() -> None:
    source_image = shown(window=(0, 101), factor=0.5, intercept=-50.0)
    # Units -50, 0, 50, 450; LINEAR with centre 0 and width 101 runs from -50.5 to 49.5.
    np.testing.assert_allclose(source_image.pixels, [[0.005, 0.505, 1, 1]], atol=1e-7)
    assert source_image.raw_range == (-50.0, 450.0)
    assert source_image.notes == (
        "Stored values were rescaled: times 0.5, plus -50.",
        "Window as given: centre 0, width 101 (LINEAR).",
    )


def test_negative_rescale_slope() -> None:
    source_image = shown(factor=-1.0)
    np.testing.assert_allclose(source_image.pixels, [[1, 0.9, 0.8, 0]], atol=1e-7)
    assert source_image.raw_range == (-1000.0, 0.0)


def test_order_of_preference() -> None:
    table = Table(first=0, values=np.array([0, 1, 1, 0]), top=1.0)
    file = Window(centre=150.0, width=100.0, function="LINEAR_EXACT")
    full = replace(SHADES, voi=table, window=file, function="LINEAR_EXACT")
    given = grey(STORED, LAYOUT, full, (50, 100))
    assert given.pixels.tolist() == [[0, 1, 1, 1]]
    assert given.window == (50.0, 100.0)
    by_table = grey(np.array([[0, 1, 2, 3]], np.uint16), LAYOUT, full, None)
    assert by_table.pixels.tolist() == [[0, 1, 1, 0]]
    assert by_table.window is None
    assert by_table.notes[0] == "The file's own grey curve (VOI LUT) is used."
    assert by_table.notes[1].startswith("The image shows two levels alone.")
    by_file = grey(STORED, LAYOUT, replace(SHADES, window=file), None)
    assert by_file.pixels.tolist() == [[0, 0, 1, 1]]
    assert by_file.window == (150.0, 100.0)
    assert by_file.notes[0] == "Window of the file: centre 150, width 100 (LINEAR_EXACT)."


def test_plain_bytes_are_shown_in_full() -> None:
    layout = replace(LAYOUT, bits_allocated=8, bits_stored=8)
    source_image = grey(np.array([[51, 102, 102, 153]], np.uint8), layout, SHADES, None)
    np.testing.assert_allclose(source_image.pixels, [[0.2, 0.4, 0.4, 0.6]], atol=1e-7)
    assert source_image.notes == ("No window in the file: its full range 0 to 255 is shown.",)
    rescaled = grey(np.array([[51, 102, 102, 153]], np.uint8), layout, replace(SHADES, intercept=-51.0), None)
    np.testing.assert_allclose(rescaled.pixels, [[0, 0.5, 0.5, 1]], atol=1e-7)


def test_modality_table() -> None:
    table = Table(first=100, values=np.array([7, 9]), top=9.0)
    source_image = shown(modality=table)
    assert source_image.raw_range == (7.0, 9.0)
    assert source_image.pixels.tolist() == [[0, 0, 1, 1]]
    assert source_image.notes[0] == "Stored values were looked up in the file's modality table."


def test_padding_does_not_count() -> None:
    stored = np.array([[-2000, -2000, 0, 10]], np.int16)
    layout = replace(LAYOUT, signed=True)
    source_image = grey(stored, layout, replace(SHADES, padding=(-2000.0, -2000.0)), None)
    assert source_image.pixels.tolist() == [[0, 0, 0, 1]]
    assert source_image.raw_range == (0.0, 10.0)
    all_padding = grey(stored, layout, replace(SHADES, padding=(-3000.0, 3000.0)), None)
    assert all_padding.raw_range == (-2000.0, 10.0)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"factor": 0.5, "intercept": -100.0},
        {"window": Window(centre=300.0, width=501.0, function="LINEAR")},
        {"window": Window(centre=300.0, width=501.0, function="SIGMOID")},
        {"padding": (0.0, 0.0)},
    ],
)
@pytest.mark.parametrize("constant", [False, True])
def test_monochrome1_twin_has_the_same_pixels(changes: dict[str, Any], constant: bool) -> None:
    """The twin stores top - value; its units, window and padding are mirrored to match."""
    stored = (
        np.full((40, 50), 77, np.uint16) if constant else np.arange(2000, dtype=np.uint16).reshape(40, 50)
    )
    plain = replace(SHADES, **changes)
    top = 65535.0
    ends = (plain.intercept, top * plain.factor + plain.intercept)
    mirrored = replace(plain, padding=None if plain.padding is None else (top, top))
    if plain.window is not None:
        shift = 1.0 if plain.window.function == "LINEAR" else 0.0
        mirrored = replace(
            mirrored, window=replace(plain.window, centre=sum(ends) - plain.window.centre + shift)
        )
    twin_layout = replace(LAYOUT, photometric="MONOCHROME1")
    source_image = grey(stored, LAYOUT, plain, None)
    twin = grey((65535 - stored).astype(np.uint16), twin_layout, mirrored, None)
    assert twin.sha256 == source_image.sha256
    assert "Inverted: the file stores bright as low values (MONOCHROME1)." in twin.notes


def test_colour_is_scaled_by_its_depth() -> None:
    layout = replace(LAYOUT, samples=3, photometric="RGB", bits_stored=12)
    source_image = colour(np.array([[[0, 819, 4095]]], np.uint16), layout, None)
    np.testing.assert_allclose(source_image.pixels, [[[0, 0.2, 1]]], atol=1e-7)
    windowed = colour(np.array([[[0, 819, 4095]]], np.uint16), layout, (819, 1638))
    np.testing.assert_allclose(windowed.pixels, [[[0, 0.5, 1]]], atol=1e-7)


def test_palette() -> None:
    red, green, blue = (
        Table(first=1, values=np.array(values), top=255.0) for values in ([0, 255], [255, 0], [51, 102])
    )
    source_image = indexed(np.array([[0, 1, 2, 9]], np.uint8), (red, green, blue), None)
    np.testing.assert_allclose(
        source_image.pixels, [[(0, 1, 0.2), (0, 1, 0.2), (1, 0, 0.4), (1, 0, 0.4)]], atol=1e-7
    )
