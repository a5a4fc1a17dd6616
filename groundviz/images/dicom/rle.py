"""Measures DICOM run-length frames before they are unpacked."""

from __future__ import annotations

import struct

from groundviz.errors import ImageError

# Runs are unpacked one by one in Python. A noisy image of 60 megapixels has about 3 million.
_MAX_RUNS = 6_000_000

_HEADER = struct.Struct("<16L")


def require_bounded(frame: bytes, plane: int) -> None:
    """Refuse a frame whose segments unpack to far more than one plane of its image, `plane` bytes.

    Raises:
        ImageError: A segment is more than twice as long as a plane, the frame is cut into millions
            of runs, or it is no run-length frame.
    """
    if len(frame) < _HEADER.size:
        raise ImageError("The DICOM's run-length data are cut short. Export the image again from its origin.")
    # Some writers pad their segments; twice the image is more than any of them does.
    limit = 2 * plane + 1024
    count, *starts = _HEADER.unpack_from(frame)
    ends = [*starts[1:count], len(frame)]
    runs = _MAX_RUNS
    for start, end in zip(starts[:count], ends, strict=False):
        length, runs = _measured(frame, start, min(end, len(frame)), limit, runs)
        if length > limit or runs < 0:
            raise ImageError(
                "The DICOM's run-length data unpack to more than the image they describe. "
                "Export the image again from its origin."
            )


def _measured(frame: bytes, at: int, end: int, limit: int, runs: int) -> tuple[int, int]:
    """Length that a segment unpacks to, and how many runs are left; stops where either is too much."""
    length = 0
    while at < end and length <= limit and runs >= 0:
        code = frame[at]
        runs -= 1
        if code < 128:
            # So many bytes and one more, as they are.
            length += code + 1
            at += code + 2
        elif code > 128:
            # One byte, repeated.
            length += 257 - code
            at += 2
        else:
            at += 1
    return length, runs
