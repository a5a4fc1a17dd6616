"""Run-length frames are measured without being unpacked."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from groundviz.errors import ImageError
from groundviz.images.dicom.rle import require_bounded


def frame_of(*segments: bytes) -> bytes:
    starts = np.cumsum([64, *(len(segment) for segment in segments)])[: len(segments)]
    header = [len(segments), *starts, *[0] * (15 - len(segments))]
    return struct.pack("<16L", *(int(number) for number in header)) + b"".join(segments)


def test_the_costliest_honest_encoding_passes() -> None:
    noise = np.random.default_rng(0).integers(0, 256, 4096, dtype=np.uint8)
    segment = b"".join(bytes([0, value]) for value in noise.tolist())
    require_bounded(frame_of(segment, segment), 4096)


@pytest.mark.parametrize(("runs", "fits"), [(32, True), (60, True), (200, False)])
def test_a_segment_may_be_padded_but_not_be_another_image(runs: int, fits: bool) -> None:
    frame = frame_of(b"\x81\x07" * 32, b"\x81\x07" * runs)
    if fits:
        require_bounded(frame, 4096)
        return
    with pytest.raises(ImageError, match="more than the image"):
        require_bounded(frame, 4096)


def test_no_operation_bytes_count_nothing() -> None:
    require_bounded(frame_of(b"\x80" * 1000), 10)


def test_runs_are_counted_over_all_segments() -> None:
    require_bounded(frame_of(b"\x80" * 2_900_000, b"\x80" * 2_900_000), 10)
    with pytest.raises(ImageError, match="more than the image"):
        require_bounded(frame_of(b"\x80" * 3_100_000, b"\x80" * 3_100_000), 10)


def test_header_cut_short() -> None:
    with pytest.raises(ImageError, match="cut short"):
        require_bounded(b"\x01\0\0\0", 10)
