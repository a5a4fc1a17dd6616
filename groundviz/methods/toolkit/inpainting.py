"""In-painting: a hidden place drawn from what surrounds it, so that nothing new stands there."""

from __future__ import annotations

import numpy as np
from skimage.morphology import dilation
from skimage.restoration import inpaint_biharmonic

from groundviz.errors import MissingExtra, OptionError
from groundviz.record.types import Bools, Floats

# The biharmonic equation reaches two pixels beyond what is hidden; one more, to be safe.
RIM = 3
LEVELS = 65535
# How far around a pixel Telea's method looks for what to continue, in pixels.
TELEA_RADIUS = 3.0


def biharmonic(pixels: Floats, hidden: Bools) -> Floats:
    """Pixels whose hidden place continues the brightness and the gradient of its rim.

    What lies farther away has no influence, so only the hidden place and its rim are solved for; the
    result is that of the whole image. Its time grows with the number of hidden pixels; for a place of a
    few thousand pixels `telea` is ten times faster.

    Source: Damelin & Hoang, "On Surface Completion and Image Inpainting by Biharmonic Functions",
    International Journal of Mathematics and Mathematical Sciences 2018.

    Args:
        pixels: float (rows, cols, channels), on any scale.
        hidden: bool (rows, cols), one place of any shape.

    Returns:
        float32 (rows, cols, channels); outside of `hidden` the pixels themselves.

    Raises:
        OptionError: Nothing is left to draw from.

    >>> ramp = np.linspace(0, 1, 12, dtype=np.float32)[:, None, None].repeat(9, axis=1)
    >>> hidden = np.zeros((12, 9), bool)
    >>> hidden[4:6, 4:6] = True
    >>> bool(np.abs(biharmonic(np.where(hidden[..., None], 0, ramp), hidden) - ramp).max() < 1e-3)
    True
    """
    drawn = pixels.astype(np.float32)
    if not hidden.any():
        return drawn
    _refuse_nothing_left(hidden)
    around = _crop(hidden, RIM + 1)
    part, mask = drawn[around].copy(), hidden[around]
    # scikit-image limits what it draws to the range of the known pixels. That of the whole image stands at
    # two places too far from the hidden ones to have any other influence.
    far = np.argwhere(dilation(mask.astype(np.uint8), np.ones((2 * RIM + 1,) * 2)) == 0)
    if part.shape != drawn.shape and len(far) >= 2:
        known = drawn[~hidden]
        part[tuple(far[0])], part[tuple(far[-1])] = known.min(axis=0), known.max(axis=0)
    drawn[around][mask] = inpaint_biharmonic(part, mask, channel_axis=-1)[mask]
    return drawn


def telea(pixels: Floats, hidden: Bools) -> Floats:
    """Pixels whose hidden place is filled from its rim inwards, fast also where it is large.

    Source: Telea, "An Image Inpainting Technique Based on the Fast Marching Method", Journal of Graphics
    Tools 2004, as OpenCV computes it in 16 bits: in float32 it leaves the range of its input.

    Args:
        pixels: float (rows, cols, channels), on any scale.
        hidden: bool (rows, cols), one place or several.

    Returns:
        float32 (rows, cols, channels); outside of `hidden` the pixels themselves.

    Raises:
        MissingExtra: OpenCV is not installed.
        OptionError: Nothing is left to draw from.
    """
    try:
        import cv2
    except ImportError:
        raise MissingExtra(
            'Telea\'s in-painting needs OpenCV. Install it with: pip install "groundviz[opencv]", or use '
            'fill="inpaint", which needs nothing more.'
        ) from None
    drawn = pixels.astype(np.float32)
    if not hidden.any():
        return drawn
    _refuse_nothing_left(hidden)
    around = _crop(hidden, rim=int(TELEA_RADIUS) + RIM)
    mask = hidden[around].astype(np.uint8)
    for channel in range(drawn.shape[2]):
        part = drawn[around][..., channel].astype(np.float64)
        # Levels count from zero, and a model's own scale lies on both sides of it.
        known = part[~hidden[around]]
        low, span = known.min(), np.ptp(known) or 1.0
        levels = np.rint((part.clip(low, low + span) - low) / span * LEVELS).astype(np.uint16)
        filled = cv2.inpaint(levels, mask, TELEA_RADIUS, cv2.INPAINT_TELEA) / LEVELS * span + low
        drawn[around][..., channel] = np.where(hidden[around], filled, part)
    return drawn


def _refuse_nothing_left(hidden: Bools) -> None:
    """Stop where nothing is left to draw from.

    Raises:
        OptionError: All is hidden.
    """
    if hidden.all():
        raise OptionError(
            "In-painting draws a hidden place from what surrounds it, and the whole image is hidden: "
            "expected something left of it. Give a smaller window, or another fill, such as 'blur'."
        )


def _crop(hidden: Bools, rim: int = RIM) -> tuple[slice, slice]:
    """The hidden place and a rim around it, cut off at the image's border."""
    sides = []
    for axis in (1, 0):
        at = np.flatnonzero(hidden.any(axis=axis))
        sides.append(slice(max(0, int(at[0]) - rim), int(at[-1]) + 1 + rim))
    return sides[0], sides[1]
