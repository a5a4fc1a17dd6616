"""Every shape, number type and memory layout of an array, right or refused."""

from __future__ import annotations

import numpy as np
import pytest

from groundviz import images
from groundviz.errors import ImageError
from groundviz.images.raster.arrays import samples_of

GREY = np.array([[0, 51, 255], [102, 153, 204]], np.uint8)
EXPECTED = np.array([[0.0, 0.2, 1.0], [0.4, 0.6, 0.8]], np.float32)


@pytest.mark.parametrize(
    "array",
    [
        GREY,
        GREY[:, :, None],
        (GREY.astype(np.uint16) * 257),
        (GREY.astype(np.uint16) * 257).astype(">u2"),
        (GREY / 255.0),
        (GREY / 255.0).astype(np.float32),
        GREY.astype(np.int64),
        GREY.astype(np.int16) * 7 - 300,
        GREY.astype(np.uint32) * 1_000_000,
        np.asfortranarray(GREY),
        np.repeat(np.repeat(GREY, 2, 0), 3, 1)[::2, ::3],
        GREY[::-1, ::-1].copy()[::-1, ::-1],
    ],
)
def test_grey_in_every_layout(array: np.ndarray) -> None:
    before = array.copy()
    source_image = images.load(array)
    np.testing.assert_allclose(source_image.pixels, EXPECTED, atol=1e-7)
    assert (source_image.pixels.dtype, source_image.source, source_image.window, source_image.spacing_mm) == (
        np.float32,
        "array",
        None,
        None,
    )
    assert not np.shares_memory(source_image.pixels, array)
    np.testing.assert_array_equal(array, before)


def test_booleans_and_half_floats() -> None:
    assert images.load(np.array([[True, False]])).pixels.tolist() == [[1.0, 0.0]]
    assert images.load(np.array([[0.5, 0.25]], np.float16)).pixels.tolist() == [[0.5, 0.25]]


def test_sixteen_bit_ramp_keeps_its_levels() -> None:
    ramp = np.linspace(0, 65535, 65536).astype(np.uint16).reshape(256, 256)
    assert np.unique(images.load(ramp).pixels).size == 65536


def test_colour_and_alpha() -> None:
    colour = np.array([[[255, 0, 51], [0, 255, 102]]], np.uint8)
    np.testing.assert_allclose(images.load(colour).pixels, colour / 255.0, atol=1e-7)
    with_alpha = np.concatenate([colour, np.array([[[255], [0]]], np.uint8)], axis=2)
    np.testing.assert_allclose(images.load(with_alpha).pixels, [[[1, 0, 0.2], [1, 1, 1]]], atol=1e-7)
    unit = np.array([[[1.0, 0.0, 0.0, 0.5]]])
    np.testing.assert_allclose(images.load(unit).pixels, [[[1, 0.5, 0.5]]], atol=1e-7)


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((0, 5)), "0 rows by 5 columns"),
        (np.zeros((5, 0, 3)), "5 rows by 0 columns"),
        (np.zeros(5), r"shape \(5,\)"),
        (np.array(0.5), r"shape \(\)"),
        (np.zeros((2, 2, 2)), r"shape \(2, 2, 2\)"),
        (np.zeros((5, 8, 8)), r"shape \(5, 8, 8\)"),
        (np.zeros((2, 8, 8, 3)), r"shape \(2, 8, 8, 3\) is not one image.* several images as a list"),
        (np.zeros((1, 1, 2, 3, 3)), "shape"),
        (np.zeros((2, 2), complex), "complex128"),
        (np.zeros((2, 2), object), "object"),
        (np.zeros((2, 2), "datetime64[s]"), "datetime64"),
        (np.array([["a", "b"]]), "str32"),
        (np.zeros((2, 2), [("r", "u1")]), "void8"),
        (np.ma.masked_array(np.zeros((2, 2)), mask=True), "masked"),
        (np.array([[0.0, np.nan]]), "1 values of 2 that are NaN"),
        (np.array([[0.0, np.inf]]), "NaN or infinite"),
        (np.array([[-0.1, 1.0]]), r"from -0\.1 to 1"),
        (np.array([[0.0, 255.0]]), r"window=\(127\.5, 255\)"),
        (np.full((1, 1, 4), 2.0), "alpha channel"),
        (np.full((1, 1, 4), np.nan), "alpha channel"),
        (np.broadcast_to(np.uint8(0), (8001, 8000)), "too large"),
    ],
)
def test_what_is_no_image(array: np.ndarray, says: str) -> None:
    with pytest.raises(ImageError, match=says):
        images.load(array)


def test_window_opens_any_float_range() -> None:
    hounsfield = np.array([[-1000.0, 40.0, 3000.0]])
    source_image = images.load(hounsfield, window=(40, 400))
    assert source_image.pixels.tolist() == [[0.0, 0.5, 1.0]]
    assert source_image.raw_range == (-1000.0, 3000.0)


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (20000, 20)])
def test_odd_sizes(shape: tuple[int, int]) -> None:
    assert images.load(np.zeros(shape, np.uint8)).shape == shape


def test_an_array_is_one_frame() -> None:
    assert images.load(GREY, frame=0).shape == (2, 3)
    with pytest.raises(ImageError, match="holds 1 frame"):
        images.load(GREY, frame=1)


@pytest.mark.parametrize(
    ("shape", "first", "rows", "note"),
    [
        ((3, 5, 7), False, 5, "3 x 5 x 7 was read with the 3 channels first"),
        ((4, 5, 7), False, 5, "4 x 5 x 7 was read with the 4 channels first"),
        ((1, 5, 7), False, 5, ""),
        ((1, 5, 7, 3), False, 5, ""),
        ((1, 3, 5, 7), False, 5, "3 channels first"),
        ((1, 1, 5, 7), False, 5, ""),
        ((3, 3, 3), False, 3, "may be read in two ways; it was read with the 3 channels last"),
        ((3, 3, 3), True, 3, "may be read in two ways; it was read with the 3 channels first"),
        ((1, 5, 3), False, 1, "two ways; it was read with the 3 channels last"),
        ((1, 5, 3), True, 5, "two ways; it was read with the 1 channels first"),
        ((5, 7, 3), True, 5, ""),
    ],
)
def test_channels_first_or_last(shape: tuple[int, ...], first: bool, rows: int, note: str) -> None:
    values = np.random.default_rng(0).integers(0, 200, shape).astype(np.uint8)
    found = samples_of(values, channels_first=first)
    one = values[0] if values.ndim == 4 else values
    moved = "first" in note or (not note and one.shape[0] == 1 and one.shape[2] == 7)
    right = np.moveaxis(one, 0, 2) if moved else one
    right = right[:, :, 0] if right.shape[2] == 1 else right[:, :, :3]
    np.testing.assert_array_equal(found.values, right)
    assert found.values.shape[0] == rows
    assert note in " ".join(found.notes)
    assert bool(found.notes) == bool(note)
