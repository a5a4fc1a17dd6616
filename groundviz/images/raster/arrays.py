"""The meaning of numpy arrays, and of tensors turned into them, as images.

========================  ==============================================================
bool                      False black, True white
uint8, uint16             0 black, 255 or 65535 white
other integers            smallest value black, largest white, with a note; grey only
floats within 0 to 1      as they are
other floats              refused unless window=(centre, width) says what is black and white
========================  ==============================================================

Shapes are (rows, cols); (rows, cols, n) or (n, rows, cols) with n = 1 grey, 3 red green blue, 4 with
alpha; and any of these in a batch of one. Where channels come first there is a note, since a stack of
three slices looks the same. A shape that may be read both ways, such as (3, 3, 3), is read with the
channels last from a numpy array and first from a torch tensor, with a note.
"""

from __future__ import annotations

import numpy as np

from groundviz.errors import ImageError
from groundviz.images.base.display import Samples, natural_top
from groundviz.images.base.limits import require_memory, require_size
from groundviz.images.base.window import Values

_CHANNELS = (1, 3, 4)


def samples_of(array: Values, *, channels_first: bool = False) -> Samples:
    """The samples of an array, by the rules above.

    Args:
        array: Numbers of any layout above.
        channels_first: How a shape is read that may be read both ways.

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
    plain, notes = _channels_last(np.asarray(array), channels_first)
    require_size(plain.shape[0], plain.shape[1])
    # The array itself is in the caller's memory. The image takes four bytes per value, and a mask one.
    bytes_per_pixel = 14
    if plain.ndim == 2 or plain.shape[2] == 1:
        bytes_per_pixel = 5
    require_memory(plain.shape[0], plain.shape[1], bytes_per_pixel)
    if plain.ndim == 2:
        return Samples(values=plain, top=natural_top(plain), notes=notes)
    values, alpha = plain[:, :, :3], None
    if plain.shape[2] == 4:
        alpha = plain[:, :, 3]
    elif plain.shape[2] == 1:
        values = plain[:, :, 0]
    top = natural_top(values)
    if alpha is not None and not (alpha.min() >= 0 and alpha.max() <= (top or 1.0)):
        raise ImageError(
            "The alpha channel must run from 0 to 1, or be 8-bit or 16-bit. Rescale it, or drop it."
        )
    return Samples(values=values, top=top, alpha=alpha, alpha_top=top or 1.0, notes=notes)


def _channels_last(array: Values, channels_first: bool) -> tuple[Values, tuple[str, ...]]:
    """The array as (rows, cols) or (rows, cols, channels), and a note where its axes were moved."""
    shape = " x ".join(str(size) for size in array.shape)
    one = array
    if array.ndim == 4 and array.shape[0] == 1:
        one = array[0]
    last = one.ndim == 3 and one.shape[2] in _CHANNELS
    first = one.ndim == 3 and one.shape[0] in _CHANNELS
    if one.ndim == 2:
        return one, ()
    if not last and not first:
        raise ImageError(
            f"An array of shape {array.shape} is not one image: (rows, cols), or (rows, cols, 1, 3 or 4), "
            "or (1, 3 or 4, rows, cols) is expected. Pick one slice, or give several images as a list."
        )
    if first and (channels_first or not last):
        where = f"the {one.shape[0]} channels first"
        moved = np.moveaxis(one, 0, 2)
    else:
        where = f"the {one.shape[2]} channels last"
        moved = one
    if first and last:
        return moved, (f"The shape {shape} may be read in two ways; it was read with {where}.",)
    if first and one.shape[0] > 1:
        return moved, (f"The shape {shape} was read with {where}.",)
    return moved, ()
