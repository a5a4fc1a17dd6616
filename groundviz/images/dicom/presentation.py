"""From one decoded DICOM frame to a SourceImage: rescaling, window or range, inversion, colours.

A grey frame goes through these steps:

1. rescale: Rescale Slope and Rescale Intercept, or the modality table;
2. choose black and white: the window given by the caller; else the file's own grey curve; else its
   first window; else the full range of plain 8-bit values; else all but the outer 0.5 % at either
   end, padding left out;
3. invert it if it is MONOCHROME1;
4. map to 0..1.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from groundviz.errors import ImageError
from groundviz.images.base.display import Samples, displayed, finished
from groundviz.images.base.stored import stored_values
from groundviz.images.base.window import Curve, Table, Values, Window, apply, central_range, extent, ramp
from groundviz.images.dicom.layout import Layout
from groundviz.images.dicom.shades import Shades
from groundviz.record.types import Bools, SourceImage

Choice = tuple[Curve, Window | None, str]


def grey(
    stored: Values, layout: Layout, shades: Shades, window: tuple[float, float] | None, *, unit: str = ""
) -> SourceImage:
    """The SourceImage of a grey frame; `raw_range` is in the units of the window, padding left out.

    `unit` is what rescaled values count, or empty.

    Raises:
        ImageError: The window cannot be used, or values are not finite.
    """
    kept = _kept(stored, shades.padding)
    if kept is not None and stored.dtype.kind == "f":
        # Padding may be any number, also NaN. It is shown like the darkest of the other values.
        stored = np.where(kept, stored, stored[kept].min())
    values = stored
    if shades.modality is not None:
        values = shades.modality.look_up(stored)
    counted = values
    if kept is not None:
        counted = values[kept]
    low, high = _in_units(extent(counted), shades)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ImageError(
            f"The DICOM's values overflow when rescaled: RescaleSlope {shades.factor:g}, RescaleIntercept "
            f"{shades.intercept:g}. Correct the header, or export the image again from its origin."
        )
    curve, used, how = _choose(layout, shades, window, lambda: _in_units(central_range(values, kept), shades))
    pixels = apply(lambda block: curve(block * shades.factor + shades.intercept), values)
    pair = None
    if used is not None:
        pair = used.pair
    return finished(
        pixels,
        source="dicom",
        raw_range=(low, high),
        window=pair,
        inverted=layout.is_inverted,
        notes=(*_rescale_note(shades), how, *shades.notes, *_inversion_note(layout)),
        stored=stored_values(values, factor=shades.factor, intercept=shades.intercept, unit=unit),
    )


def colour(stored: Values, layout: Layout, window: tuple[float, float] | None) -> SourceImage:
    """The SourceImage of an RGB frame.

    Raises:
        ImageError: The window cannot be used.
    """
    samples = Samples(values=stored, top=2.0**layout.bits_stored - 1.0)
    return displayed(samples, source="dicom", window=window)


def indexed(
    stored: Values, palette: tuple[Table, Table, Table], window: tuple[float, float] | None
) -> SourceImage:
    """The SourceImage of a frame whose values point into a palette.

    Raises:
        ImageError: The window cannot be used.
    """
    values = np.stack([table.look_up(stored) for table in palette], axis=-1)
    samples = Samples(
        values=values,
        top=max(table.top for table in palette),
        notes=("Palette colours were looked up.",),
    )
    return displayed(samples, source="dicom", window=window)


def _choose(
    layout: Layout,
    shades: Shades,
    given: tuple[float, float] | None,
    measure: Callable[[], tuple[float, float]],
) -> Choice:
    """The curve to black and white, its window if it has one, and the rule in words."""
    inverted = layout.is_inverted
    if given is not None:
        return _windowed(Window.of(given, shades.function), "Window as given", inverted)
    if shades.voi is not None:
        return shades.voi.curve(inverted=inverted), None, "The file's own grey curve (VOI LUT) is used."
    if shades.window is not None:
        return _windowed(shades.window, "Window of the file", inverted)
    if layout.bits_stored <= 8 and not layout.signed and shades.is_plain:
        top = 2.0**layout.bits_stored - 1.0
        return (
            ramp(0.0, top, inverted=inverted),
            None,
            f"No window in the file: its full range 0 to {top:g} is shown.",
        )
    low, high = measure()
    how = (
        f"No window in the file: values from {low:g} to {high:g} are spread from black to white, "
        "the outer 0.5 % at either end cut off. Choose a window for other ends."
    )
    return ramp(low, high, inverted=inverted), None, how


def _windowed(window: Window, whose: str, inverted: bool) -> Choice:
    how = f"{whose}: centre {window.centre:g}, width {window.width:g} ({window.function})."
    return window.curve(inverted=inverted), window, how


def _in_units(ends: tuple[float, float], shades: Shades) -> tuple[float, float]:
    """Two stored values in the units of the window, the smaller one first."""
    first, second = (end * shades.factor + shades.intercept for end in ends)
    # A negative Rescale Slope exchanges them.
    return min(first, second), max(first, second)


def _kept(stored: Values, padding: tuple[float, float] | None) -> Bools | None:
    """Which pixels are not padding, or None for all."""
    if padding is None:
        return None
    if math.isnan(padding[0]) or math.isnan(padding[1]):
        kept = ~np.isnan(stored)
    else:
        kept = (stored < padding[0]) | (stored > padding[1])
    if kept.any() and not kept.all():
        return kept
    return None


def _rescale_note(shades: Shades) -> tuple[str, ...]:
    if shades.modality is not None:
        return ("Stored values were looked up in the file's modality table.",)
    if shades.is_plain:
        return ()
    return (f"Stored values were rescaled: times {shades.factor:g}, plus {shades.intercept:g}.",)


def _inversion_note(layout: Layout) -> tuple[str, ...]:
    # Where Presentation LUT Shape inverts it, `Layout.notes` has a note.
    if not layout.is_inverted or layout.photometric != "MONOCHROME1":
        return ()
    return ("Inverted: the file stores bright as low values (MONOCHROME1).",)
