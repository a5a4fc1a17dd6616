"""Sizes as compressed data state them, against the encoders that wrote them."""

from __future__ import annotations

import io
import struct

import pytest
from PIL import Image

from groundviz.errors import ImageError
from groundviz.images.codestream import size_of


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
    assert size_of(stream.getvalue()) == (41, 70)


@pytest.mark.parametrize("marker", [0xC0, 0xC1, 0xC3, 0xCF, 0xF7])
def test_every_kind_of_frame_header(marker: int) -> None:
    frame = b"\xff\xd8\xff\xc4\0\4ab\xff\xff" + bytes([0xFF, marker]) + struct.pack(">HBHH", 11, 12, 300, 400)
    assert size_of(frame) == (300, 400)


def test_offset_of_jpeg_2000() -> None:
    frame = b"\xff\x4f\xff\x51" + struct.pack(">HHIIII", 41, 0, 110, 220, 10, 20)
    assert size_of(frame) == (200, 100)


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
        size_of(frame)
