"""Limits on the size of an image, and the choice of a frame; checked before anything is decoded.

An image may have at most 64 megapixels, and reading it may need at most 512 MB: the stored numbers, the
decoder's own memory, and the image itself with four bytes per value. Measured on files of 9 megapixels and
rounded up, this allows so many megapixels:

=============================================  ==========
grey of 8 bits                                 64
grey of 16 bits                                53
grey of 32 bits                                37
with transparency                              25
colour                                         24
CMYK, YCbCr or L*a*b*, or turned upright       20
colour palettes                                20
DICOM with a palette                           16
DICOM as YBR, not compressed                   17
DICOM as JPEG 2000: 8 bits, 16 bits, colour    37, 24, 13
=============================================  ==========
"""

from __future__ import annotations

import operator

from groundviz.errors import ImageError, argument

MAX_PIXELS = 64_000_000
MAX_FILE_BYTES = 256_000_000
MAX_FRAME_BYTES = 256_000_000
MAX_MEMORY = 512_000_000


def require_size(rows: int, cols: int) -> None:
    """Refuse an empty image, or one of more than 64 megapixels.

    Raises:
        ImageError: Naming the size found and the size allowed.
    """
    if rows < 1 or cols < 1:
        raise ImageError(f"The image is empty: {rows} rows by {cols} columns. Give one with pixels in it.")
    if rows * cols > MAX_PIXELS:
        raise ImageError(
            f"The image is too large: {rows} rows by {cols} columns, where at most "
            f"{MAX_PIXELS // 10**6} megapixels are read. Crop it or scale it down first."
        )


def require_memory(rows: int, cols: int, each: float, *, more: int = 0) -> None:
    """Refuse an image that takes more than 512 MB to be read.

    Args:
        rows: Of the image.
        cols: Of the image.
        each: Bytes per pixel at the peak.
        more: Further bytes, whatever the size of the image.

    Raises:
        ImageError: Naming the memory needed and the memory allowed.
    """
    needed = rows * cols * each + more
    if needed > MAX_MEMORY:
        raise ImageError(
            f"The image is too large: {rows} rows by {cols} columns of this kind take {needed / 1e6:.0f} MB "
            f"of memory to read, where at most {MAX_MEMORY // 10**6} MB are used. Crop it or scale it down "
            "first."
        )


def choose_frame(frame: int | None, count: int) -> int:
    """The number of the image to show, counting from 0; one of several must be named.

    Raises:
        ImageError: There are several and none was named, or none has that number.

    >>> choose_frame(None, 1)
    0
    """
    if frame is None and count == 1:
        return 0
    choice = f"Pass {argument('frame')}, a number from 0 to {count - 1}."
    held = f"{count} frames"
    if count == 1:
        choice, held = f"Pass {argument('frame', 0)}.", "1 frame"
    if frame is None:
        raise ImageError(f"The image holds {count} frames and one must be chosen. {choice}")
    try:
        index = operator.index(frame)
    except TypeError:
        index = -1
    if not 0 <= index < count:
        raise ImageError(f"There is no frame of that number: the image holds {held}. {choice}")
    return index


def frame_note(index: int, count: int) -> tuple[str, ...]:
    """A note on which frame is shown; none when there is only one."""
    if count <= 1:
        return ()
    return (f"Frame {index} of {count} is shown (counting from 0).",)
