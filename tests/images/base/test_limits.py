"""Sizes and frame numbers at and beyond their limits."""

from __future__ import annotations

import numpy as np
import pytest

from groundviz.errors import ImageError
from groundviz.images.base.limits import choose_frame, frame_note, require_size


@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (8000, 8000), (1, 64_000_000)])
def test_sizes_up_to_64_megapixels_pass(rows: int, cols: int) -> None:
    require_size(rows, cols)


@pytest.mark.parametrize(("rows", "cols"), [(0, 5), (5, 0), (8001, 8000), (1, 64_000_001)])
def test_empty_and_larger_are_refused(rows: int, cols: int) -> None:
    with pytest.raises(ImageError, match=f"{rows} rows by {cols} columns"):
        require_size(rows, cols)


def test_only_image_needs_no_number() -> None:
    assert (choose_frame(None, 1), choose_frame(0, 1)) == (0, 0)
    assert frame_note(0, 1) == ()


def test_several_images_need_a_number() -> None:
    with pytest.raises(
        ImageError, match=r"holds 30 frames and one must be chosen\. Pass frame=, a number from 0 to 29"
    ):
        choose_frame(None, 30)
    assert choose_frame(np.int64(29), 30) == 29
    assert frame_note(29, 30) == ("Frame 29 of 30 is shown (counting from 0).",)


@pytest.mark.parametrize("frame", [30, -1, 1.0, "2"])
def test_numbers_that_are_no_frame(frame: object) -> None:
    with pytest.raises(ImageError, match="holds 30 frames"):
        choose_frame(frame, 30)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("samples", "bits", "photometric", "stream", "megapixels"),
    [
        (1, 8, "MONOCHROME2", "", 64),
        (1, 16, "MONOCHROME2", "", 53),
        (1, 32, "MONOCHROME2", "", 37),
        (3, 8, "YBR_FULL", "", 17),
        (1, 8, "MONOCHROME2", "JPEG 2000", 37),
        (1, 16, "MONOCHROME2", "JPEG 2000", 24),
        (3, 8, "YBR_RCT", "JPEG 2000", 13),
    ],
)
def test_the_megapixels_promised_for_dicom_are_what_512_megabytes_hold(
    samples: int, bits: int, photometric: str, stream: str, megapixels: int
) -> None:
    from groundviz.images.dicom.codestream import Stream
    from groundviz.images.dicom.decoding import Frame
    from groundviz.images.dicom.layout import Layout

    def frame(cols: int) -> Frame:
        stated = Stream(kind=stream, rows=1000, cols=cols, samples=samples, bits=bits) if stream else None
        described = Layout(
            rows=1000, cols=cols, frames=1, index=0, samples=samples, photometric=photometric,
            bits_allocated=bits, bits_stored=bits, signed=False, planar=0,
        )  # fmt: skip
        return Frame(layout=described, stream=stated)

    frame(megapixels * 1000).require_room(held=0, more=0)
    if megapixels < 64:
        with pytest.raises(ImageError, match="where at most 512 MB are used"):
            frame((megapixels + 1) * 1000).require_room(held=0, more=0)
