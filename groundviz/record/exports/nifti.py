"""A map as a NIfTI-1 volume of one slice, as programs for medical images read it.

The first axis runs along the columns of the image, the second along its rows. A record knows nothing of
how the patient lay, so the volume lies where ITK and SimpleITK put a plain image: columns run towards
the patient's left, rows towards the back, and the centre of the source image's first pixel is the origin.
In NIfTI's own coordinates, which run to the right and the front, both axes are therefore negative. So a
map lies on its source image when that was written by SimpleITK without a direction of its own.
"""

from __future__ import annotations

import gzip
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from groundviz.errors import OptionError
from groundviz.record.types import Doubles, SourceImage

_HEADER = struct.Struct("<i10s18sihcb8h3f4h8f3fhbb4f2i80s24s2h6f12f16s4s")
_DATA_START = 352
# The header has 16 bits for the length of a side.
_LONGEST = 32767
# What NIfTI calls the kinds of numbers, and how many bits each takes.
_KINDS = {"float32": (16, 32), "uint8": (2, 8)}
_MILLIMETRES, _UNKNOWN = 2, 0
# Coordinates of some other image, not of a scanner: where the patient lay is not known.
_ALIGNED = 2


def packed(
    values: npt.NDArray[Any], to_source: Doubles, source_image: SourceImage, describe: str, *, zipped: bool
) -> bytes:
    """The bytes of a `.nii` file, or of a `.nii.gz` file.

    Args:
        values: float32 or uint8 (rows, cols).
        to_source: float64 (2, 3) affine from [row, col, 1] in cells to source pixels, as in `Grid`.
        source_image: What the values lie on. Its spacing gives millimetres; where that is unknown, a source
            pixel counts as one unit, and the file says that the unit is unknown.
        describe: What the values are; at most 79 ASCII characters of it are kept.
        zipped: Whether to compress; the same values always give the same bytes.

    Raises:
        OptionError: A side is longer than the format can say.
    """
    if max(values.shape) > _LONGEST:
        raise OptionError(
            f"A NIfTI-1 file cannot hold {values.shape[0]} x {values.shape[1]} values: expected at most "
            f"{_LONGEST} along each side. Write an .npy file, or the model's own cells without resample."
        )
    content = _header(values, affine(to_source, source_image), source_image, describe)
    content += np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes()
    if zipped:
        # Without a time of day in it.
        return gzip.compress(content, mtime=0)
    return content


def affine(to_source: Doubles, source_image: SourceImage) -> Doubles:
    """From voxels (column, row, slice, 1) to NIfTI's coordinates in millimetres, float64 (4, 4).

    >>> import groundviz
    >>> plain = groundviz.images.load(np.zeros((4, 6), np.uint8))
    >>> affine(np.eye(2, 3), plain).tolist()[:2]
    [[-1.0, 0.0, 0.0, -0.0], [0.0, -1.0, 0.0, -0.0]]
    """
    row_mm, col_mm = source_image.spacing_mm or (1.0, 1.0)
    (row_size, _, row_shift), (_, col_size, col_shift) = to_source
    made = np.diag([-col_size * col_mm, -row_size * row_mm, 1.0, 1.0])
    # Pixel r covers [r, r + 1) here, while the centre of the first one is the origin there.
    made[0, 3] = -(col_size / 2 + col_shift - 0.5) * col_mm
    made[1, 3] = -(row_size / 2 + row_shift - 0.5) * row_mm
    return made


def _header(values: npt.NDArray[Any], placed: Doubles, source_image: SourceImage, describe: str) -> bytes:
    rows, cols = values.shape
    kind, bits = _KINDS[values.dtype.name]
    sizes = (-placed[0, 0], -placed[1, 1], 1.0)
    unit = _UNKNOWN
    if source_image.spacing_mm is not None:
        unit = _MILLIMETRES
    words = describe.encode("ascii", "replace")[:79]
    # Half a turn about the slice's normal: both axes negative, as the quaternion (0, 0, 1) says.
    turned = (0.0, 0.0, 1.0)
    head = _HEADER.pack(
        *(348, b"", b"", 0, 0, b"r", 0),
        *(3, cols, rows, 1, 1, 1, 1, 1),
        *(0.0, 0.0, 0.0),
        *(0, kind, bits, 0),
        *(1.0, *sizes, 1.0, 1.0, 1.0, 1.0),
        *(float(_DATA_START), 1.0, 0.0),
        *(0, 0, unit),
        *(0.0, 0.0, 0.0, 0.0),
        *(0, 0),
        *(words, b""),
        *(_ALIGNED, _ALIGNED),
        *(*turned, *placed[:3, 3]),
        *placed[:3].ravel(),
        *(b"", b"n+1\0"),
    )
    return head.ljust(_DATA_START, b"\0")
