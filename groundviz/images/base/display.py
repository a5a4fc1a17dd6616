"""From decoded numbers of a raster image to a SourceImage: range, window, transparency, hash."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from groundviz.errors import ImageError, argument
from groundviz.images.base.stored import stored_values
from groundviz.images.base.window import Curve, Values, Window, apply, extent, ramp
from groundviz.record.types import Floats, SourceImage, StoredValues

# An image whose brightest value is below this part of white can hardly be seen.
_DARK = 0.125
# Pixels that are computed at once, to bound the memory.
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """The decoded numbers of an image, and what they mean.

    Attributes:
        values: (rows, cols) or (rows, cols, 3), as stored.
        top: The value shown white, where 0 is shown black; None when the numbers have no such range.
        alpha: (rows, cols), from 0 transparent to `alpha_top` opaque, or None.
        alpha_top: The alpha that is opaque.
        premultiplied: Whether the values were already multiplied by alpha.
        inverted: Whether low values are bright.
        notes: What was done to them so far.
    """

    values: Values
    top: float | None
    alpha: Values | None = None
    alpha_top: float = 1.0
    premultiplied: bool = False
    inverted: bool = False
    notes: tuple[str, ...] = ()


def natural_top(values: Values) -> float | None:
    """The value that means white for numbers of this type, or None where the type implies none.

    >>> natural_top(np.zeros(1, np.uint16))
    65535.0
    """
    if values.dtype == np.bool_:
        return 1.0
    if values.dtype.kind == "u" and values.dtype.itemsize <= 2:
        return float(np.iinfo(values.dtype).max)
    return None


def displayed(samples: Samples, *, source: str, window: tuple[float, float] | None) -> SourceImage:
    """Map samples to display space, from 0 black to 1 white, and note how.

    Raises:
        ImageError: The values are not finite, or have no range and none was given.
    """
    low, high = extent(samples.values)
    chosen, pair = None, None
    if window is not None:
        chosen = Window.of(window)
        pair = chosen.pair
    curve, notes = _curve(samples, low, high, chosen)
    pixels = apply(curve, samples.values)
    if samples.inverted:
        notes += ("Inverted: the file stores bright as low values.",)
    if samples.alpha is not None and samples.alpha.min() < samples.alpha_top:
        # A pixel's brightness no longer follows from its value.
        stored = None
        _put_on_white(pixels, samples)
        notes += ("Transparent parts (alpha channel) are shown on white.",)
    else:
        stored = stored_values(samples.values)
    return finished(
        pixels,
        source=source,
        raw_range=(low, high),
        notes=samples.notes + notes,
        window=pair,
        inverted=samples.inverted,
        stored=stored,
    )


def finished(
    pixels: Floats,
    *,
    source: str,
    raw_range: tuple[float, float],
    notes: tuple[str, ...],
    window: tuple[float, float] | None = None,
    inverted: bool = False,
    stored: StoredValues | None = None,
) -> SourceImage:
    """The SourceImage of pixels in display space, with their hash.

    Raises:
        ImageError: Some pixels are NaN, or outside 0 to 1.
    """
    darkest, brightest = float(pixels.min()), float(pixels.max())
    # Comparisons with NaN are false.
    if not 0.0 <= darkest <= brightest <= 1.0:
        raise ImageError(
            "The values overflow when they are mapped to black and white. Pass "
            f"{argument('window', ('centre', 'width'))} with numbers of their size."
        )
    notes += _flat_note(pixels, darkest, brightest)
    return SourceImage(
        pixels=pixels,
        source=source,
        raw_range=raw_range,
        sha256=fingerprint(pixels),
        window=window,
        inverted=inverted,
        notes=notes,
        stored=stored,
    )


def fingerprint(pixels: Floats) -> str:
    """SHA-256 of an image's shape and values.

    >>> fingerprint(np.zeros((2, 3), np.float32)) == fingerprint(np.zeros((3, 2), np.float32))
    False
    """
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels, dtype="<f4").data)
    return digest.hexdigest()


def _curve(samples: Samples, low: float, high: float, window: Window | None) -> tuple[Curve, tuple[str, ...]]:
    """The mapping of these values, and the rule it follows, in words."""
    if window is not None:
        note = f"Window as given: centre {window.centre:g}, width {window.width:g}."
        return window.curve(inverted=samples.inverted), (note,)
    if samples.top is not None:
        curve = ramp(0.0, samples.top, inverted=samples.inverted)
        if samples.top <= 255.0:
            # The rule for 8 bits needs no note.
            return curve, ()
        return curve, (f"Values from 0 to {samples.top:g} are shown from black to white.",)
    if samples.values.dtype.kind == "f":
        return _unit_range(samples, low, high)
    if samples.values.ndim == 3:
        raise ImageError(
            f"Colours of this integer type have no known range: values run from {low:g} to {high:g}. "
            "Convert them to 8-bit (uint8) or 16-bit (uint16), or pass "
            f"{argument('window', ('centre', 'width'))}."
        )
    note = (
        f"Stored values from {low:g} to {high:g} are spread from black to white: integers of this type "
        "have no natural range. Choose a window for another range."
    )
    return ramp(low, high, inverted=samples.inverted), (note,)


def _flat_note(pixels: Floats, darkest: float, brightest: float) -> tuple[str, ...]:
    """A note where hardly anything can be seen: one or two levels, nearly black, nearly white."""
    # Notes are kept in records, which the command line and Python share: they name no argument of either.
    advice = "Choose a window to say what is black and white."
    if darkest == brightest:
        return (f"The image shows one level alone, {darkest:.0%} of white. {advice}",)
    if brightest < _DARK:
        return (f"The image looks dark: its brightest value is {brightest:.1%} of white. {advice}",)
    if darkest > 1.0 - _DARK:
        return (f"The image looks washed out: its darkest value is {darkest:.1%} of white. {advice}",)
    # Two levels, unless some pixel lies between darkest and brightest.
    flat = pixels.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        block = flat[start : start + _BLOCK]
        if not ((block == darkest) | (block == brightest)).all():
            return ()
    return (f"The image shows two levels alone. {advice}",)


def _unit_range(samples: Samples, low: float, high: float) -> tuple[Curve, tuple[str, ...]]:
    """The mapping of floats, which must lie in 0 to 1."""
    if low < 0.0 or high > 1.0:
        raise ImageError(
            f"Floating-point values must lie in 0 to 1: these run from {low:g} to {high:g}. Scale them, "
            f"or say what is black and white with {argument('window', ((low + high) / 2, high - low))}."
        )
    return ramp(0.0, 1.0, inverted=samples.inverted), ("Values from 0 to 1 are shown as they are.",)


def _put_on_white(pixels: Floats, samples: Samples) -> None:
    """Blend pixels with white by their alpha, in place and a few rows at a time."""
    alpha = samples.alpha
    if alpha is None:
        return
    step = max(1, _BLOCK // pixels.shape[1])
    for start in range(0, len(pixels), step):
        rows = slice(start, start + step)
        cover = alpha[rows].astype(np.float32) / np.float32(samples.alpha_top)
        if pixels.ndim == 3:
            cover = cover[:, :, None]
        visible = pixels[rows]
        if not samples.premultiplied:
            visible = visible * cover
        np.clip(visible + (1.0 - cover), 0.0, 1.0, out=pixels[rows])
