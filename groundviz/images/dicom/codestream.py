"""The headers of JPEG, JPEG-LS and JPEG 2000 data, read without decoding the image."""

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
# A decoder allocates memory for each tile and precinct before it decodes the first.
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
        signed: Whether values may be negative; None where the format has no such mark.
        colours: "RGB" or "YBR", what three decoded values mean; empty where the data do not state it.
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
    """The compressed image itself: JPEG 2000 data without a JP2 file around it, which DICOM does not allow.

    So nothing in the other boxes of such a file can be mistaken for the image.
    """
    if not frame.startswith(_JP2):
        return frame
    at = 0
    while at + 8 <= len(frame):
        length, kind = _BOX.unpack_from(frame, at)
        if kind == b"jp2c":
            # A length of 1 means that the true one follows, in eight further bytes.
            if length == 1:
                return frame[at + 16 :]
            return frame[at + 8 :]
        if length < 8:
            break
        at += length
    return frame


def stream_of(frame: bytes) -> Stream:
    """The header of a JPEG, JPEG-LS or JPEG 2000 frame.

    Raises:
        ImageError: It is none of them, cut short, or of a structure that no decoder here reads safely.

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
    at, colours = 2, ""
    while frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xFF:
            # Any number of fill bytes may stand before a marker.
            at += 1
            continue
        length = int.from_bytes(frame[at + 2 : at + 4], "big")
        content = frame[at + 4 : at + 2 + length]
        if marker in _FRAME_HEADERS:
            return _framed(marker, content, colours)
        if marker == 0xEE and content.startswith(b"Adobe") and len(content) >= 12:
            colours = "RGB" if content[11] == 0 else "YBR"
        elif marker == 0xE0 and content.startswith(b"JFIF") and not colours:
            # JFIF allows no other colours, but an Adobe segment overrides it.
            colours = "YBR"
        at += 2 + length
    raise ValueError


def _framed(marker: int, content: bytes, colours: str) -> Stream:
    """What a frame header states; `colours` as the segments before it state them."""
    bits, rows, cols, samples = _FRAME.unpack_from(content)
    identifiers = content[6 : 6 + 3 * samples : 3]
    if len(identifiers) != samples:
        raise ValueError
    if identifiers in _RGB_IDS:
        colours = "RGB"
    if samples != 3:
        colours = ""
    kind = "JPEG"
    if marker == _LS:
        kind = "JPEG-LS"
    elif marker in _LOSSLESS:
        kind = "JPEG lossless"
    return Stream(kind=kind, rows=rows, cols=cols, samples=samples, bits=bits, colours=colours)


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
    # The highest bit is the sign, the others are the number of bits minus one.
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
    """Of every coding style in the headers: whether the colour transform is on, and the precinct sizes.

    The first is that of the whole image; others are of one colour or of one tile.
    """
    at, in_tile = 2, False
    while at + 4 <= len(frame) and frame[at] == 0xFF and frame[at + 1] != _END:
        marker, length = frame[at + 1], int.from_bytes(frame[at + 2 : at + 4], "big")
        content = frame[at + 4 : at + 2 + length]
        if marker == _TILE_PART:
            in_tile = True
            size = int.from_bytes(content[2:6], "big")
            # A length of zero means: to the end of the data.
            next_part = at + size if size else len(frame)
        # The lowest bit of the style says whether precinct sizes follow.
        if marker == _CODING:
            yield content[4] != 0, content[10:] if content[0] & 1 else b""
        elif marker == _CODING_OF_ONE:
            yield False, content[7:] if content[1] & 1 else b""
        if in_tile and marker == _DATA:
            at = next_part
        else:
            at += 2 + length


def _pieces(rows: int, cols: int, high: int, wide: int) -> int:
    return -(-rows // max(1, high)) * -(-cols // max(1, wide))


def _precincts(rows: int, cols: int, sizes: bytes) -> int:
    """How many precincts all levels of an image have; each byte of `sizes` is two exponents of 2."""
    count = 0
    for level, size in enumerate(reversed(sizes)):
        count += _pieces(rows >> level, cols >> level, 1 << (size >> 4), 1 << (size & 15))
    return count
