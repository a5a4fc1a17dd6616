"""numpy arrays as images.

========================  ==============================================================
bool                      False black, True white
uint8, uint16             0 black, 255 or 65535 white
other integers            smallest value black, largest white, with a note; grey only
floats within 0 to 1      as they are
other floats              refused unless window=(centre, width) says what is black and white
========================  ==============================================================

Shapes are (rows, cols), or (rows, cols, n) with n = 1 grey, 3 red green blue, 4 with alpha.
"""

from __future__ import annotations

import numpy as np

from groundviz.errors import ImageError
from groundviz.images.display import Samples, natural_top
from groundviz.images.limits import require_size
from groundviz.images.window import Values
from groundviz.types import Floats


def samples_of(array: Values) -> Samples:
    """The samples of an array, by the rules above.

    Raises:
        ImageError: A shape, number type or size that is no image, or a masked array.

    >>> samples_of(np.zeros((2, 2, 1), np.uint8)).values.shape
    (2, 2)
    """
    if isinstance(array, np.ma.MaskedArray):
        raise ImageError(
            "A masked array has pixels without a value. Fill them first, with array.filled(...)."
        )
    if array.dtype.kind not in "buif":
        raise ImageError(
            f"An array of type {array.dtype.name} is not an image: numbers are expected. "
            "Convert it to uint8, uint16 or floats from 0 to 1."
        )
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise ImageError(
            f"An array of shape {array.shape} is not one image: (rows, cols) or (rows, cols, 1, 3 or 4) "
            "is expected. Pick one slice, or move the channels to the end."
        )
    require_size(array.shape[0], array.shape[1])
    values, alpha = _split_alpha(np.asarray(array))
    return Samples(values=values, top=natural_top(values), alpha=alpha)


def _split_alpha(values: Values) -> tuple[Values, Floats | None]:
    if values.ndim == 3 and values.shape[2] == 1:
        return values[:, :, 0], None
    if values.ndim == 2 or values.shape[2] == 3:
        return values, None
    return values[:, :, :3], _opacity(values[:, :, 3])


def _opacity(values: Values) -> Floats:
    """Alpha from 0 to 1."""
    top = natural_top(values) or 1.0
    alpha = values.astype(np.float32) / np.float32(top)
    if not (alpha.min() >= 0.0 and alpha.max() <= 1.0):
        raise ImageError(
            "The alpha channel must run from 0 to 1, or be 8-bit or 16-bit. Rescale it, or drop it."
        )
    return alpha
