"""The size that compressed data state of themselves, read without decoding them."""

from __future__ import annotations

import struct

from groundviz.errors import ImageError

_JPEG = b"\xff\xd8"
_JPEG2000 = b"\xff\x4f\xff\x51"
_BIG = struct.Struct(">HH")
_SIZ = struct.Struct(">4xHHIIII")

# Frame headers of JPEG (C0 to CF without tables C4, C8 and CC) and of JPEG-LS (F7).
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}


def size_of(frame: bytes) -> tuple[int, int]:
    """Rows and columns of a JPEG, JPEG-LS or JPEG 2000 frame.

    Raises:
        ImageError: It is none of them, or cut short.

    >>> size_of(bytes.fromhex("ffd8 ffe0 0002 ffc0 000b 08 0300 0400"))
    (768, 1024)
    """
    try:
        if frame.startswith(_JPEG):
            return _jpeg_size(frame)
        return _jpeg2000_size(frame)
    except (struct.error, IndexError, ValueError):
        reason = (
            "The DICOM's compressed data do not state their size. Export the image again from its origin."
        )
    raise ImageError(reason)


def _jpeg_size(frame: bytes) -> tuple[int, int]:
    at = 2
    while frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker in _FRAME_HEADERS:
            rows, cols = _BIG.unpack_from(frame, at + 5)
            return rows, cols
        # Any number of fill bytes may stand before a marker.
        at += 1 if marker == 0xFF else 2 + _BIG.unpack_from(frame, at + 2)[0]
    raise ValueError


def _jpeg2000_size(frame: bytes) -> tuple[int, int]:
    _, _, right, bottom, left, top = _SIZ.unpack_from(frame, frame.index(_JPEG2000))
    return bottom - top, right - left
