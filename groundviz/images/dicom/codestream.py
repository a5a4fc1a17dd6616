"""What compressed data state of themselves, read without decoding them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from groundviz.errors import ImageError

_JPEG = b"\xff\xd8"
_JPEG2000 = b"\xff\x4f\xff\x51"
_JP2 = b"\0\0\0\x0cjP  "
_SIZ = struct.Struct(">4x2xHIIIIIIIIH")
_COMPONENT = struct.Struct(">BBB")
_BOX = struct.Struct(">L4s")
_FRAME = struct.Struct(">BHHB")

# Frame headers of JPEG (C0 to CF without tables C4, C8 and CC) and of JPEG-LS (F7).
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
_LOSSLESS, _LS = frozenset((0xC3, 0xC7, 0xCB, 0xCF)), 0xF7
_RGB_IDS = (b"RGB", b"rgb")
_TILE_PART, _DATA, _END, _CODING, _CODING_OF_ONE = 0x90, 0x93, 0xD9, 0x52, 0x53
# A decoder makes room for each of these before it decodes the first.
_MAX_TILES = 16_384
_MAX_PIECES = 300_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """The header of a JPEG, JPEG-LS or JPEG 2000 image.

    Attributes:
        kind: "JPEG", "JPEG lossless", "JPEG-LS" or "JPEG 2000".
        rows: Of the image.
        cols: Of the image.
        samples: Values per pixel.
        bits: Per value.
        signed: Whether values may be negative; None where the format cannot say.
        colours: "RGB" or "YBR", what three values mean once they are decoded; empty where the data
            do not say.
        transformed: Whether JPEG 2000's own colour transform was used, which decoders undo.
    """

    kind: str
    rows: int
    cols: int
    samples: int
    bits: int
    signed: bool | None = None
    colours: str = ""
    transformed: bool = False


def codestream(frame: bytes) -> bytes:
    """The image itself: JPEG 2000 without the JP2 file around it, which DICOM does not foresee.

    What is in the other boxes of such a file cannot be mistaken for the image then.
    """
    if not frame.startswith(_JP2):
        return frame
    at = 0
    while at + 8 <= len(frame):
        length, kind = _BOX.unpack_from(frame, at)
        if kind == b"jp2c":
            header = 16 if length == 1 else 8
            return frame[at + header :]
        if length < 8:
            break
        at += length
    return frame


def stream_of(frame: bytes) -> Stream:
    """What a JPEG, JPEG-LS or JPEG 2000 frame states of itself.

    Raises:
        ImageError: It is none of them, cut short, or of a build that no decoder here reads safely.

    >>> made = stream_of(bytes.fromhex("ffd8 ffe0 0002 ffc0 000b 08 0300 0400 01 011100"))
    >>> made.rows, made.cols, made.bits
    (768, 1024, 8)
    """
    try:
        if frame.startswith(_JPEG):
            return _jpeg(frame)
        if frame.startswith(_JPEG2000):
            return _jpeg2000(frame)
    except (struct.error, IndexError, ValueError):
        pass
    raise ImageError(
        "The DICOM's compressed data do not state their size. Export the image again from its origin."
    )


def _jpeg(frame: bytes) -> Stream:
    at, said = 2, ""
    while frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xFF:
            # Any number of fill bytes may stand before a marker.
            at += 1
            continue
        length = int.from_bytes(frame[at + 2 : at + 4], "big")
        content = frame[at + 4 : at + 2 + length]
        if marker in _FRAME_HEADERS:
            return _framed(marker, content, said)
        if marker == 0xEE and content.startswith(b"Adobe") and len(content) >= 12:
            said = "RGB" if content[11] == 0 else "YBR"
        elif marker == 0xE0 and content.startswith(b"JFIF") and not said:
            said = "YBR"
        at += 2 + length
    raise ValueError


def _framed(marker: int, content: bytes, said: str) -> Stream:
    bits, rows, cols, samples = _FRAME.unpack_from(content)
    identifiers = content[6 : 6 + 3 * samples : 3]
    if len(identifiers) != samples:
        raise ValueError
    if identifiers in _RGB_IDS:
        said = "RGB"
    kind = "JPEG-LS" if marker == _LS else "JPEG lossless" if marker in _LOSSLESS else "JPEG"
    return Stream(
        kind=kind, rows=rows, cols=cols, samples=samples, bits=bits, colours=said if samples == 3 else ""
    )


def _jpeg2000(frame: bytes) -> Stream:
    _, right, bottom, left, top, wide, high, _, _, samples = _SIZ.unpack_from(frame)
    if not 1 <= samples <= 4:
        raise ValueError
    described = [_COMPONENT.unpack_from(frame, _SIZ.size + 3 * number) for number in range(samples)]
    if len(set(described)) > 1 or described[0][1:] != (1, 1):
        raise ImageError(
            "The DICOM's JPEG 2000 data store their colours at different sizes or depths, which is not "
            "read. Export the image uncompressed."
        )
    rows, cols = bottom - top, right - left
    tiles = _pieces(rows, cols, high, wide)
    codings = list(_codings(frame))
    pieces = tiles + sum(_precincts(rows, cols, sizes) for _, sizes in codings)
    if tiles > _MAX_TILES or pieces > _MAX_PIECES:
        raise ImageError(
            "The DICOM's JPEG 2000 data are cut into more pieces than any image needs. Export the image "
            "again from its origin."
        )
    transformed = codings[0][0]
    depth = described[0][0]
    return Stream(
        kind="JPEG 2000",
        rows=rows,
        cols=cols,
        samples=samples,
        bits=(depth & 0x7F) + 1,
        signed=bool(depth & 0x80),
        colours="RGB" if transformed and samples == 3 else "",
        transformed=transformed,
    )


def _codings(frame: bytes) -> Iterator[tuple[bool, bytes]]:
    """Whether the colour transform is on, and the precinct sizes, of every coding style in the headers.

    The first is that of the whole image; others are of one colour or of one tile.
    """
    at, part = 2, 0
    while at + 4 <= len(frame) and frame[at] == 0xFF and frame[at + 1] != _END:
        marker, length = frame[at + 1], int.from_bytes(frame[at + 2 : at + 4], "big")
        content = frame[at + 4 : at + 2 + length]
        if marker == _TILE_PART:
            part, size = at, int.from_bytes(content[2:6], "big")
            # A length of zero means: to the end of the data.
            after = at + size if size else len(frame)
        if marker == _CODING:
            yield content[4] != 0, content[10:] if content[0] & 1 else b""
        elif marker == _CODING_OF_ONE:
            yield False, content[7:] if content[1] & 1 else b""
        at = after if part and marker == _DATA else at + 2 + length


def _pieces(rows: int, cols: int, high: int, wide: int) -> int:
    return -(-rows // max(1, high)) * -(-cols // max(1, wide))


def _precincts(rows: int, cols: int, sizes: bytes) -> int:
    """How many precincts the levels of an image are cut into; sizes are two exponents of 2 a byte."""
    count = 0
    for level, size in enumerate(reversed(sizes)):
        count += _pieces(rows >> level, cols >> level, 1 << (size >> 4), 1 << (size & 15))
    return count
