"""Deflated content comes out whole, or not at all."""

from __future__ import annotations

import io
import os
import zlib

import pytest

from groundviz.errors import ImageError
from groundviz.images.dicom.inflate import inflated


def deflate(data: bytes) -> bytes:
    engine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return engine.compress(data) + engine.flush()


@pytest.mark.parametrize("data", [b"", b"abc", bytes(5_000_000), os.urandom(300_000)])
@pytest.mark.parametrize("padding", [b"", b"\0"])
def test_content_is_restored_from_where_the_stream_stands(data: bytes, padding: bytes) -> None:
    stream = io.BytesIO(b"header" + deflate(data) + padding)
    stream.seek(6)
    unpacked = inflated(stream)
    assert unpacked.tell() == 0
    assert unpacked.read() == data


def test_64_megabytes_of_nothing_are_allowed_and_no_more() -> None:
    assert len(inflated(io.BytesIO(deflate(bytes(64_000_000)))).getvalue()) == 64_000_000
    with pytest.raises(ImageError, match="more than 64 MB"):
        inflated(io.BytesIO(deflate(bytes(66_000_000))))


def test_cut_short() -> None:
    packed = deflate(os.urandom(1000))
    with pytest.raises(ImageError, match="cut short"):
        inflated(io.BytesIO(packed[:-5]))
