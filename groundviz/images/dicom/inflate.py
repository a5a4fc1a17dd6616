"""Unpacks deflated DICOM up to a limit, before it is parsed."""

from __future__ import annotations

import io
import os
import zlib
from typing import BinaryIO

from groundviz.errors import ImageError

# Deflate packs at most 1032 to 1, and only constant data; images rarely reach 10 to 1.
_ALWAYS_ALLOWED = 64_000_000
_MAX_RATIO = 100
# It is held twice for a moment: as a whole, and its pixels beside it.
_MOST = 200_000_000
_CHUNK_IN = 1 << 16
_CHUNK_OUT = 1 << 20


def inflated(stream: BinaryIO) -> io.BytesIO:
    """The rest of `stream`, a raw deflate stream, unpacked in memory.

    Raises:
        ImageError: It unpacks to more than 64 MB and a hundred times its own size, to more than
            200 MB, or ends too early.
    """
    start = stream.tell()
    packed = stream.seek(0, os.SEEK_END) - start
    stream.seek(start)
    limit = min(_MOST, max(_ALWAYS_ALLOWED, _MAX_RATIO * packed))
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    unpacked = io.BytesIO()
    while not engine.eof:
        chunk = engine.unconsumed_tail or stream.read(_CHUNK_IN)
        if not chunk:
            raise ImageError("The deflated DICOM is cut short. Fetch it again from its origin.")
        unpacked.write(engine.decompress(chunk, _CHUNK_OUT))
        if unpacked.tell() > limit:
            raise ImageError(
                f"The deflated DICOM unpacks to more than {limit / 1e6:.0f} MB from {packed / 1e6:.1f} MB. "
                "Export it uncompressed if it is genuine."
            )
    unpacked.seek(0)
    return unpacked
