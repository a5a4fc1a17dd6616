"""What the numbers of a grey DICOM frame mean, by its header: rescaling, window, padding."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

from groundviz.errors import ImageError
from groundviz.images.base.window import Table, Window
from groundviz.images.dicom.fields import Fields, attempted
from groundviz.images.dicom.layout import Layout

_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
_MAX_TABLES = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shades:
    """What the numbers of one grey frame mean.

    Attributes:
        factor: Rescale Slope: a stored value times this ...
        intercept: ... plus this is the value in the units of the window (Rescale Intercept).
        modality: The modality table, which replaces factor and intercept, or None.
        window: The file's window, or None.
        voi: The file's VOI table, which replaces a window, or None.
        function: The window's function (VOI LUT Function).
        padding: Stored values (lowest, highest) outside of the image, or None.
        notes: Which of several elements was used, and which could not be read.
    """

    factor: float
    intercept: float
    modality: Table | None
    window: Window | None
    voi: Table | None
    function: str
    padding: tuple[float, float] | None
    notes: tuple[str, ...]

    @classmethod
    def of(cls, fields: Fields, layout: Layout) -> Shades:
        """Read the meaning of the numbers of the chosen frame.

        Raises:
            ImageError: The rescaling or a table is damaged, so no value can be trusted.
        """
        place = fields.macro("PixelValueTransformationSequence", layout.index)
        factor = place.number("RescaleSlope", 1.0)
        intercept = place.number("RescaleIntercept", 0.0)
        if not (math.isfinite(factor) and math.isfinite(intercept)) or factor == 0.0:
            raise ImageError(
                f"The DICOM's rescaling makes no sense: RescaleSlope {factor:g}, RescaleIntercept "
                f"{intercept:g}. Correct the header, or export the image again from its origin."
            )
        modality, notes = _first_table(fields, "ModalityLUTSequence", "modality table", layout.signed)
        padding, more = attempted(lambda: _padding(fields, layout), "The padding value in the file")
        if modality:
            # The table gives values in the units of the window.
            factor, intercept = 1.0, 0.0
        plain = cls(
            factor=factor,
            intercept=intercept,
            modality=modality,
            window=None,
            voi=None,
            function="LINEAR",
            padding=padding,
            notes=notes + more + _several(len(place.numbers("RescaleSlope")), "rescalings"),
        )
        return plain._with_window(fields.macro("FrameVOILUTSequence", layout.index), layout)

    def _with_window(self, place: Fields, layout: Layout) -> Shades:
        function = place.code("VOILUTFunction")
        if function not in _FUNCTIONS:
            function = "LINEAR"
        negative = layout.signed or self.intercept < 0.0
        voi, notes = _first_table(place, "VOILUTSequence", "grey curve", negative)
        if voi is not None:
            return replace(self, voi=voi, function=function, notes=self.notes + notes)
        window, more = attempted(lambda: _window(place, function), "The window in the file")
        if window is not None:
            more += _several(len(place.numbers("WindowCenter")), "windows")
        return replace(self, window=window, function=function, notes=self.notes + notes + more)

    @property
    def is_plain(self) -> bool:
        """Whether stored values are those in the units of the window."""
        return self.modality is None and (self.factor, self.intercept) == (1.0, 0.0)


def _first_table(
    place: Fields, keyword: str, what: str, negative: bool
) -> tuple[Table | None, tuple[str, ...]]:
    """The first usable table of a sequence, and notes on unusable and further ones."""
    read = partial(_table, place, keyword, negative)
    count, notes = attempted(lambda: place.count(keyword), f"The {what} in the file")
    for index in range(min(count or 0, _MAX_TABLES)):
        table, complaint = attempted(partial(read, index), f"The {what} in the file")
        if table is not None:
            return table, notes + _several(count, f"{what}s")
        # One note, however many tables cannot be used.
        notes = complaint
    return None, notes


def _table(place: Fields, keyword: str, negative: bool, index: int) -> Table:
    item = place.item(keyword, index)
    if item is None:
        raise ImageError("There is no table.")
    return item.table("LUTDescriptor", "LUTData", negative=negative)


def _several(count: int, what: str) -> tuple[str, ...]:
    if count <= 1:
        return ()
    return (f"The file offers several {what}; the first usable one is used.",)


def _window(place: Fields, function: str) -> Window | None:
    centres, widths = place.numbers("WindowCenter"), place.numbers("WindowWidth")
    if not centres and not widths:
        return None
    for pair in zip(centres, widths, strict=False):
        window: Window | None = attempted(partial(Window.of, pair, function), "")[0]
        if window is not None:
            return window
    raise ImageError("No window has two numbers.")


def _padding(fields: Fields, layout: Layout) -> tuple[float, float] | None:
    names = [f"{kind}PixelPadding" for kind in ("", "Float", "DoubleFloat")]
    name = next((name for name in names if fields.numbers(f"{name}Value")), names[0])
    ends = (*fields.numbers(f"{name}Value")[:1], *fields.numbers(f"{name}RangeLimit")[:1])
    if not ends:
        return None
    if layout.signed and name == names[0]:
        ends = tuple(_as_signed(end, layout.bits_allocated) for end in ends)
    return min(ends), max(ends)


def _as_signed(number: float, bits: int) -> float:
    """A padding value as a signed number: some files store it as an unsigned one of so many bits."""
    half = 2.0 ** (bits - 1)
    if number >= half:
        return number - 2.0 * half
    return number
