"""Headers as compressed data state them, against the encoders that wrote them."""

from __future__ import annotations

import io
import struct
from typing import Any

import pytest
from PIL import Image

from groundviz.errors import ImageError
from groundviz.images.dicom.codestream import codestream, stream_of


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True, "comment": b"\xff\xc0 not a header \xff\xc0"}),
        ("JPEG", {"exif": b"Exif\0\0" + bytes(3000)}),
        ("JPEG2000", {}),
        ("JPEG2000", {"no_jp2": True}),
    ],
)
def test_sizes_written_by_pillow(kind: str, options: dict[str, object]) -> None:
    stream = io.BytesIO()
    Image.effect_noise((70, 41), 40).save(stream, kind, **options)
    made = stream_of(codestream(stream.getvalue()))
    assert (made.rows, made.cols, made.samples, made.bits) == (41, 70, 1, 8)
    assert made.signed is (None if kind == "JPEG" else False)


@pytest.mark.parametrize("marker", [0xC0, 0xC1, 0xC3, 0xCF, 0xF7])
def test_every_kind_of_frame_header(marker: int) -> None:
    frame = b"\xff\xd8\xff\xc4\0\4ab\xff\xff" + bytes([0xFF, marker])
    frame += struct.pack(">HBHHB", 11, 12, 300, 400, 1) + b"\1\x11\0"
    made = stream_of(frame)
    assert (made.rows, made.cols, made.bits) == (300, 400, 12)


def jpeg2000(
    *, grid: tuple[int, ...] = (110, 220, 10, 20), tile: tuple[int, int] = (110, 220), depth: int = 7,
    samples: int = 1, sampling: int = 1, transform: int = 0, precincts: bytes = b"", tiles: bytes = b"",
) -> bytes:  # fmt: skip
    """The headers of a JPEG 2000 codestream, to the start of its data."""
    sizes = struct.pack(">HIIIIIIIIH", 0, *grid, *tile, 0, 0, samples)
    sizes += bytes((depth, sampling, sampling)) * samples
    style = struct.pack(">BBHBBBBBB", bool(precincts), 0, 1, transform, 5, 4, 4, 0, 1) + precincts
    marks = ((0x51, sizes), (0x52, style))
    made = b"".join(struct.pack(">BBH", 0xFF, mark, 2 + len(content)) + content for mark, content in marks)
    return b"\xff\x4f" + made + tiles


def test_offset_of_jpeg_2000() -> None:
    made = stream_of(jpeg2000())
    assert (made.rows, made.cols) == (200, 100)


def test_sign_depth_and_colours_of_jpeg_2000() -> None:
    made = stream_of(jpeg2000(depth=0x80 | 11, samples=3, transform=1))
    assert (made.signed, made.bits, made.samples, made.colours) == (True, 12, 3, "RGB")
    assert stream_of(jpeg2000(samples=3)).colours == ""


def test_a_decoy_header_before_the_image_is_not_taken_for_it() -> None:
    """Decoders unpack the image in the box named so, whatever other boxes hold."""
    small, large = jpeg2000(grid=(8, 8, 0, 0), tile=(8, 8)), jpeg2000(grid=(9000, 9000, 0, 0))
    box = struct.Struct(">L4s")
    start = b"\0\0\0\x0cjP  \r\n\x87\n"
    file = start + box.pack(8 + len(small), b"uuid") + small + box.pack(8 + len(large), b"jp2c") + large
    assert stream_of(codestream(file)).rows == 9000
    with pytest.raises(ImageError, match="do not state their size"):
        stream_of(b"\0" * 30 + small)


@pytest.mark.parametrize(
    "pieces",
    [
        {"tile": (1, 1), "grid": (4000, 4000, 0, 0)},
        {"precincts": b"\0" * 6, "grid": (4000, 4000, 0, 0), "tile": (4000, 4000)},
        {
            "grid": (4000, 4000, 0, 0),
            "tile": (4000, 4000),
            "tiles": b"\xff\x90\0\x0a\0\0\0\0\0\0\0\1\xff\x52"
            + struct.pack(">HBBHBBBBBB", 18, 1, 0, 1, 0, 5, 4, 4, 0, 1)
            + bytes(6),
        },
    ],
    ids=["tiles", "precincts", "precincts of one tile"],
)
def test_jpeg_2000_of_millions_of_pieces(pieces: dict[str, Any]) -> None:
    with pytest.raises(ImageError, match="more pieces than any image needs"):
        stream_of(jpeg2000(**pieces))


def test_jpeg_2000_with_colours_of_another_size() -> None:
    with pytest.raises(ImageError, match="colours at different sizes"):
        stream_of(jpeg2000(samples=3, sampling=2))


def jpeg(before: bytes, identifiers: bytes = b"\1\2\3") -> bytes:
    frame = struct.pack(">BBHBHHB", 0xFF, 0xC0, 17, 8, 30, 40, 3)
    return b"\xff\xd8" + before + frame + b"".join(bytes((name, 17, 0)) for name in identifiers)


JFIF = b"\xff\xe0\0\x10JFIF\0" + bytes(9)


@pytest.mark.parametrize(
    ("frame", "colours"),
    [
        (jpeg(b""), ""),
        (jpeg(JFIF), "YBR"),
        (jpeg(b"", b"RGB"), "RGB"),
        (jpeg(b"\xff\xee\0\x0eAdobe" + bytes(6) + b"\0"), "RGB"),
        (jpeg(b"\xff\xee\0\x0eAdobe" + bytes(6) + b"\1"), "YBR"),
        (jpeg(b"\xff\xee\0\x0eAdobe" + bytes(6) + b"\0" + JFIF), "RGB"),
    ],
)
def test_what_a_jpeg_says_of_its_colours(frame: bytes, colours: str) -> None:
    assert stream_of(frame).colours == colours


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff\xe0",
        b"\xff\xd8\xff\xe0\0\x02",
        b"\xff\xd8abcd",
        b"\xff\x4f\xff\x51\0",
        b"text",
    ],
)
def test_data_without_a_size(frame: bytes) -> None:
    with pytest.raises(ImageError, match="do not state their size"):
        stream_of(frame)
