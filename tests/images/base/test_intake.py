"""What is opened, how often it may be read, and how content is recognised."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import pytest

from groundviz.errors import ImageError
from groundviz.images.base.intake import BoundedReader, content_tag, kind_of, occurrences, opened, tail


def test_reader_reads_like_a_stream() -> None:
    reader = BoundedReader(io.BytesIO(b"abcdef"))
    assert reader.read(2) == b"ab"
    assert reader.seek(-1, os.SEEK_END) == 5
    assert (reader.read(), reader.tell()) == (b"f", 6)


def test_reader_gives_up_after_its_reads() -> None:
    reader = BoundedReader(io.BytesIO(b"abc"), reads=2)
    reader.read(1), reader.read(1)
    with pytest.raises(ImageError, match="small parts"):
        reader.read(1)


def test_reader_gives_up_after_its_bytes() -> None:
    reader = BoundedReader(io.BytesIO(b"abcdef"), total=5)
    assert reader.read(5) == b"abcde"
    with pytest.raises(ImageError, match="small parts"):
        reader.read(1)


def test_reader_offers_the_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    with path.open("rb") as stream:
        assert BoundedReader(stream).fileno() == stream.fileno()


def test_opened_closes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    with opened(os.fsencode(path)) as stream:
        assert stream.read() == b"abc"
    assert stream.closed


def test_too_large_a_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as stream:
        stream.truncate(256_000_001)
    with pytest.raises(ImageError, match="256000001 bytes, where at most 256000000"), opened(str(path)):
        pass


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n", "png"),
        (b"\xff\xd8\xff\xe0", "jpeg"),
        (b"BM\0\0", "bmp"),
        (b"II*\0", "tiff"),
        (b"MM\0*", "tiff"),
        (b"MM\0+", "tiff"),
        (b"RIFF\0\0\0\0WEBP", "webp"),
        (bytes(128) + b"DICM", "dicom"),
        (b"II*\0" + bytes(124) + b"DICM", "dicom"),
        (b"\x08\0\x05\0CS\x0a\0", "dicom"),
        (b"\x08\0\x05\0\x0a\0\0\0", "dicom"),
        (b"\0\x08\0\x05CS\0\x0a", "dicom"),
    ],
)
def test_kind_is_told_by_content(head: bytes, kind: str) -> None:
    assert kind_of(io.BytesIO(head)) == kind


@pytest.mark.parametrize(
    "head",
    [
        b"%!PS-Adobe-3.0 EPSF-3.0",
        b"GIF89a",
        b"%PDF-1.7",
        b"RIFF\0\0\0\0WAVE",
        b"\x08\0",
        b"\x08\0\x05\0\xff\xff\xff\xff",
        b"",
    ],
)
def test_other_content_is_refused(head: bytes) -> None:
    with pytest.raises(ImageError, match="not an image of a known kind"):
        kind_of(io.BytesIO(head))


def test_content_tag_is_the_start_of_sha256() -> None:
    content = os.urandom(3_000_000)
    assert content_tag(io.BytesIO(content)) == hashlib.sha256(content).hexdigest()[:8]


def test_tail_is_the_end() -> None:
    assert tail(io.BytesIO(b"abcdef"), 2) == b"ef"
    assert tail(io.BytesIO(b"ab"), 10) == b"ab"


def test_occurrences_across_block_borders_are_counted_once() -> None:
    content = bytearray(2_500_000)
    for at in (0, (1 << 20) - 1, (2 << 20) - 1, 2_499_998):
        content[at : at + 2] = b"\xff\xda"
    stream = io.BytesIO(bytes(content))
    stream.seek(7)
    assert occurrences(stream, b"\xff\xda") == 4
    assert stream.tell() == 7
