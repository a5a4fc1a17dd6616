"""Every Pillow mode against pixels worked out by hand, live and through each format that can hold it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from groundviz import images
from groundviz.errors import ImageError
from groundviz.images.raster.modes import Stored, samples_of
from groundviz.record.types import SourceImage

BYTES = [[0, 51, 102], [153, 204, 255]]
UNIT = [[0.0, 0.2, 0.4], [0.6, 0.8, 1.0]]
COLOURS = [[(255, 0, 0), (0, 255, 0)], [(0, 0, 255), (51, 102, 153)]]
UNIT_COLOURS = [[(1, 0, 0), (0, 1, 0)], [(0, 0, 1), (0.2, 0.4, 0.6)]]


def grey() -> Image.Image:
    return Image.fromarray(np.array(BYTES, np.uint8))


def colour() -> Image.Image:
    return Image.fromarray(np.array(COLOURS, np.uint8))


def one_bit() -> Image.Image:
    return Image.fromarray(np.array([[True, False, True]]))


def with_alpha(mode: str, pixels: list[tuple[int, ...]]) -> Image.Image:
    image = Image.new(mode, (len(pixels), 1))
    for col, pixel in enumerate(pixels):
        image.putpixel((col, 0), pixel)
    return image


def palette(colours: list[int], **info: object) -> Image.Image:
    image = Image.new("P", (len(colours) // 3, 1))
    image.putpalette(colours)
    for col in range(image.width):
        image.putpixel((col, 0), col)
    image.info.update(info)
    return image


def saved(image: Image.Image, path: Path, kind: str, **options: object) -> SourceImage:
    """Through a file, under a name that says nothing."""
    image.save(path / "file", kind, **options)
    return images.load(path / "file")


# mode, image, expected pixels, formats that store it losslessly
CASES = [
    ("1", one_bit(), [[1, 0, 1]], ["PNG", "TIFF", "BMP"]),
    ("L", grey(), UNIT, ["PNG", "TIFF", "BMP", "WEBP"]),
    ("RGB", colour(), UNIT_COLOURS, ["PNG", "TIFF", "BMP", "WEBP"]),
    ("LA", with_alpha("LA", [(51, 255), (51, 0), (51, 51)]), [[0.2, 1.0, 0.84]], ["PNG", "TIFF"]),
    ("La", with_alpha("La", [(51, 255), (0, 0), (10, 51)]), [[0.2, 1.0, 10 / 255 + 0.8]], []),
    (
        "RGBA",
        with_alpha("RGBA", [(255, 0, 51, 255), (255, 0, 51, 0), (255, 0, 51, 51)]),
        [[(1, 0, 0.2), (1, 1, 1), (1, 0.8, 0.84)]],
        ["PNG", "TIFF", "WEBP"],
    ),
    ("RGBa", with_alpha("RGBa", [(51, 0, 51, 51), (0, 0, 0, 0)]), [[(1, 0.8, 1), (1, 1, 1)]], []),
    ("RGBX", with_alpha("RGBX", [(255, 0, 51, 7)]), [[(1, 0, 0.2)]], []),
    ("P", palette([255, 0, 0, 0, 51, 102]), [[(1, 0, 0), (0, 0.2, 0.4)]], ["PNG", "TIFF", "BMP"]),
    ("P grey", palette([0, 0, 0, 51, 51, 51, 255, 255, 255]), [[0, 0.2, 1]], ["PNG", "TIFF", "BMP"]),
    ("P one clear", palette([255, 0, 0, 0, 51, 102], transparency=1), [[(1, 0, 0), (1, 1, 1)]], ["PNG"]),
    (
        "P part clear",
        palette([255, 0, 0, 0, 51, 102], transparency=bytes([255, 51])),
        [[(1, 0, 0), (0.8, 0.84, 0.88)]],
        ["PNG"],
    ),
    ("P grey clear", palette([0, 0, 0, 51, 51, 51], transparency=1), [[0, 1]], ["PNG"]),
    (
        "CMYK",
        with_alpha("CMYK", [(0, 0, 0, 0), (255, 0, 0, 0), (0, 0, 0, 255), (51, 102, 0, 51)]),
        [[(1, 1, 1), (0, 1, 1), (0, 0, 0), (0.64, 0.48, 0.8)]],
        ["TIFF"],
    ),
    (
        "YCbCr",
        with_alpha("YCbCr", [(0, 128, 128), (255, 128, 128), (76, 85, 255), (29, 255, 107)]),
        [[(0, 0, 0), (1, 1, 1), (1, 0, 0), (0, 0, 1)]],
        [],
    ),
    (
        "HSV",
        with_alpha("HSV", [(0, 0, 51), (0, 255, 255), (85, 255, 255), (170, 255, 255)]),
        [[(0.2, 0.2, 0.2), (1, 0, 0), (0, 1, 0), (0, 0, 1)]],
        [],
    ),
]


def assert_shows(source_image: SourceImage, expected: object, tolerance: float) -> None:
    want = np.asarray(expected, np.float32)
    assert source_image.pixels.shape == want.shape
    np.testing.assert_allclose(source_image.pixels, want, atol=tolerance)


@pytest.mark.parametrize(("name", "image", "expected", "kinds"), CASES, ids=[case[0] for case in CASES])
def test_mode_live_and_through_files(
    name: str, image: Image.Image, expected: object, kinds: list[str], tmp_path: Path
) -> None:
    tolerance = 1.5 / 255 if name in ("CMYK", "YCbCr", "HSV") else 1e-6
    live = images.load(image)
    assert live.source == "pil"
    assert_shows(live, expected, tolerance)
    for kind in kinds:
        source_image = saved(
            image, tmp_path, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {})
        )
        assert source_image.source == kind.lower()
        # WebP stores no grey: what was saved grey comes back in three equal channels.
        flat = (
            source_image.pixels[..., 0] if kind == "WEBP" and np.ndim(expected) == 2 else source_image.pixels
        )
        np.testing.assert_allclose(flat, np.asarray(expected, np.float32), atol=tolerance)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg(mode: str, options: dict[str, object], tmp_path: Path) -> None:
    flat = {"L": 51, "RGB": (51, 102, 153), "CMYK": (51, 102, 0, 51)}[mode]
    source_image = saved(Image.new(mode, (16, 8), flat), tmp_path, "JPEG", quality=95, **options)
    expected = {"L": 0.2, "RGB": (0.2, 0.4, 0.6), "CMYK": (0.64, 0.48, 0.8)}[mode]
    assert source_image.source == "jpeg"
    assert source_image.shape == (8, 16)
    np.testing.assert_allclose(
        source_image.pixels, np.broadcast_to(expected, source_image.pixels.shape), atol=3 / 255
    )


@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B", "I;16N"])
def test_sixteen_bits_in_every_byte_order(mode: str) -> None:
    kind = ">u2" if mode.endswith("B") else "<u2"
    values = np.array([[0, 13107, 65535]], kind)
    image = Image.frombytes(mode, (3, 1), values.tobytes())
    source_image = images.load(image)
    assert_shows(source_image, [[0, 0.2, 1]], 1e-6)
    assert source_image.raw_range == (0.0, 65535.0)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_ramp_keeps_its_levels(kind: str, tmp_path: Path) -> None:
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    source_image = saved(Image.fromarray(ramp), tmp_path, kind)
    assert np.unique(source_image.pixels).size == 65536
    assert (np.diff(source_image.pixels.ravel()) > 0).all()
    assert source_image.notes == ("Values from 0 to 65535 are shown from black to white.",)


def test_big_endian_and_bright_is_low_tiff(tmp_path: Path) -> None:
    values = np.array([[0, 13107, 65535]], np.uint16)
    image = Image.fromarray(values)
    inverted = saved(image, tmp_path, "TIFF", tiffinfo={262: 0})
    assert_shows(inverted, [[1, 0.8, 0]], 1e-6)
    assert any("Inverted" in note for note in inverted.notes)
    big = saved(Image.frombytes("I;16B", (3, 1), values.astype(">u2").tobytes()), tmp_path, "TIFF")
    assert_shows(big, [[0, 0.2, 1]], 1e-6)


def test_twelve_bit_layout_is_scaled_by_its_own_depth() -> None:
    image = Image.fromarray(np.array([[0, 819, 4095]], np.uint16))
    samples = samples_of(image, Stored(raw="I;12"))
    assert samples.top == 4095.0


def test_sixteen_bit_png_with_a_clear_value(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 13107, 65535]], np.uint16))
    source_image = saved(image, tmp_path, "PNG", transparency=13107)
    assert_shows(source_image, [[0, 1, 1]], 1e-6)


def test_thirty_two_bit_integers(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[-1024, 0, 1024]], np.int32))
    for source_image in (images.load(image), saved(image, tmp_path, "TIFF")):
        assert_shows(source_image, [[0, 0.5, 1]], 1e-6)
        assert "from -1024 to 1024" in source_image.notes[0]


def test_unsigned_thirty_two_bits_beyond_the_signed_half() -> None:
    image = Image.fromarray(np.array([[0, 2**31, 2**32 - 1]], np.uint32).view(np.int32))
    assert samples_of(image, Stored(raw="I;32N")).values.tolist() == [[0, 2**31, 2**32 - 1]]


def test_signed_bytes() -> None:
    image = Image.fromarray(np.array([[0, 127, 255]], np.uint8))
    assert samples_of(image, Stored(signed_bytes=True)).values.tolist() == [[0, 127, -1]]


def test_floats(tmp_path: Path) -> None:
    inside = Image.fromarray(np.array([[0.0, 0.25, 1.0]], np.float32))
    for source_image in (images.load(inside), saved(inside, tmp_path, "TIFF")):
        assert source_image.pixels.tolist() == [[0.0, 0.25, 1.0]]
    outside = Image.fromarray(np.array([[-3.0, 3.0]], np.float32))
    with pytest.raises(ImageError, match=r"from -3 to 3.*window=\(0, 6\)"):
        images.load(outside)
    assert images.load(outside, window=(0, 6)).pixels.tolist() == [[0.0, 1.0]]
    with pytest.raises(ImageError, match="NaN"):
        images.load(Image.fromarray(np.array([[np.nan, 1.0]], np.float32)))


def test_lab() -> None:
    # CIE L*a*b* of D50: neutral axis by definition, red of sRGB from its published D50 value.
    image = with_alpha("LAB", [(0, 128, 128), (255, 128, 128), (138, 128 + 81, 128 + 70)])
    source_image = images.load(image)
    assert_shows(source_image, [[(0, 0, 0), (1, 1, 1), (1, 0, 0)]], 6 / 255)
    assert any("L*a*b*" in note for note in source_image.notes)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_clear_colour_of_plain_images(kind: str, tmp_path: Path) -> None:
    if kind == "TIFF":
        image = colour()
        image.info["transparency"] = (255, 0, 0)
        source_image = images.load(image)
    else:
        source_image = saved(colour(), tmp_path, kind, transparency=(255, 0, 0))
    assert source_image.pixels[0, 0].tolist() == [1.0, 1.0, 1.0]
    assert source_image.pixels[0, 1].tolist() == [0.0, 1.0, 0.0]


def test_clear_grey(tmp_path: Path) -> None:
    assert_shows(saved(grey(), tmp_path, "PNG", transparency=51), [[0, 1, 0.4], [0.6, 0.8, 1]], 1e-6)
    assert_shows(saved(one_bit(), tmp_path, "PNG", transparency=0), [[1, 1, 1]], 1e-6)


def test_sixteen_bit_colour_is_read_with_a_note(tmp_path: Path) -> None:
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    line = b"\0" + struct.pack(">3H", 65535, 0, 13107)
    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(line)) + chunk(b"IEND", b"")
    path = tmp_path / "file"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    source_image = images.load(path)
    assert_shows(source_image, [[(1, 0, 0.2)]], 1e-6)
    assert source_image.notes == ("Stored with 16 bits per channel, read with 8.",)


def test_colour_profile_is_noted(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for kind in ("PNG", "JPEG", "TIFF", "WEBP"):
        source_image = saved(colour(), tmp_path, kind, icc_profile=profile)
        assert any("ICC" in note for note in source_image.notes)


def test_every_mode_pillow_has_gives_a_source_image_or_is_refused() -> None:
    for mode in [*Image.MODES, "La", "RGBa", "RGBX", "PA", "I;16L", "I;16B", "I;16N"]:
        source_image = images.load(Image.new(mode, (4, 3)))
        assert source_image.shape == (3, 4)


def test_unknown_mode_is_refused() -> None:
    class Strange:
        mode = "strange"
        info: dict[str, object] = {}  # noqa: RUF012

    with pytest.raises(ImageError, match="no rule"):
        samples_of(Strange(), Stored())  # type: ignore[arg-type]


def test_window_counts_in_the_stored_units(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.array([[0, 1024, 2048, 4096]], np.uint16)).save(stream, "PNG")
    (tmp_path / "file").write_bytes(stream.getvalue())
    source_image = images.load(tmp_path / "file", window=(2048, 2048))
    assert source_image.pixels.tolist() == [[0.0, 0.0, 0.5, 1.0]]
    assert source_image.window == (2048.0, 2048.0)
