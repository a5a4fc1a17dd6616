"""What a DICOM header says about the pixels: how they are laid out, and what their numbers mean."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from groundviz.errors import ImageError
from groundviz.images.base.limits import MAX_FRAME_BYTES, choose_frame, frame_note, require_size
from groundviz.images.base.window import Table, Values, Window
from groundviz.images.dicom.fields import Fields

_GREY = ("MONOCHROME1", "MONOCHROME2")
_INDEXED = "PALETTE COLOR"
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
# What Presentation LUT Shape says of low values: whether they are bright.
_SHAPES = {"INVERSE": True, "IDENTITY": False}
_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")

# Where the spacing stands, in the order of trust, and what to know of each.
_SPACINGS = {
    "PixelSpacing": "",
    "ImagerPixelSpacing": "Pixel spacing is that of the detector, not corrected for magnification.",
    "NominalScannedPixelSpacing": "Pixel spacing is that of the scanned film or paper.",
    "PixelAspectRatio": (
        "The file gives the shape of its pixels (aspect ratio {:g} high to {:g} wide), not their size: "
        "the spacing is a ratio, not millimetres."
    ),
}
_MAX_ASPECT = 1000.0
_MAX_TABLES = 16

# Kinds of images that devices often print names into.
_PRINTED_ON = ("US", "IVUS", "SC", "OT", "DOC")
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the pixels of a DICOM are stored, and which frame is wanted.

    Attributes:
        shift: How many low bits lie unused below each value (High Bit).
        shape: What Presentation LUT Shape says, in place of the photometric interpretation.
        remarks: What in the header cannot be used, or contradicts itself.
    """

    rows: int
    cols: int
    frames: int
    index: int
    samples: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    signed: bool
    planar: int
    shift: int = 0
    shape: str = ""
    remarks: tuple[str, ...] = ()

    @classmethod
    def of(cls, fields: Fields, frame: int | None) -> Layout:
        """Read and check the layout, before any pixel is touched.

        Raises:
            ImageError: No image, an image that is too large, several frames and none chosen, or
                a kind of colour that is not read.
        """
        rows, cols = int(fields.number("Rows", 0.0)), int(fields.number("Columns", 0.0))
        if not rows and not cols:
            raise ImageError(
                "The DICOM file holds no image: it has neither rows nor columns. Choose another."
            )
        require_size(rows, cols)
        frames = max(1, int(fields.number("NumberOfFrames", 1.0)))
        allocated = int(fields.number("BitsAllocated"))
        stored = int(fields.number("BitsStored", float(allocated)))
        shift, remarks = _shift(fields, allocated, stored)
        layout = cls(
            rows=rows,
            cols=cols,
            frames=frames,
            index=choose_frame(frame, frames),
            samples=int(fields.number("SamplesPerPixel", 1.0)),
            photometric=fields.text("PhotometricInterpretation"),
            bits_allocated=allocated,
            bits_stored=stored,
            signed=fields.number("PixelRepresentation", 0.0) != 0.0,
            planar=int(fields.number("PlanarConfiguration", 0.0)),
            shift=shift,
            shape=_said(fields, "PresentationLUTShape"),
            remarks=remarks,
        )
        layout._check()
        return layout

    def _check(self) -> None:
        samples = 3 if self.photometric in _COLOUR else 1
        if self.photometric not in (*_GREY, _INDEXED, *_COLOUR) or self.samples != samples:
            raise ImageError(
                "The DICOM's pixels are of a kind that is not read, or contradict their own description. "
                "Grey, palette, RGB and YBR are read; export the image as one of these."
            )
        if not 1 <= self.bits_stored <= self.bits_allocated <= 64:
            raise ImageError(
                f"The DICOM claims {self.bits_stored} bits in {self.bits_allocated} per value, where 1 to 64 "
                "are possible. Export the image again from its origin."
            )
        size = self.rows * self.cols * self.samples * -(-self.bits_allocated // 8)
        if size > MAX_FRAME_BYTES:
            raise ImageError(
                f"One frame of the DICOM takes {size / 1e6:.0f} MB, where at most "
                f"{MAX_FRAME_BYTES / 1e6:.0f} MB are read. Crop it or scale it down first."
            )

    @property
    def notes(self) -> tuple[str, ...]:
        """Which frame is shown, if there are several, and what the header contradicts itself about."""
        notes = frame_note(self.index, self.frames) + self.remarks
        if self.is_grey and self.is_inverted != (self.photometric == _GREY[0]):
            notes += (
                f"The file contradicts itself: it is {self.photometric}, and its Presentation LUT Shape is "
                f"{self.shape}. The latter is followed: low values are "
                f"{'bright' if self.is_inverted else 'dark'}.",
            )
        return notes

    @property
    def is_grey(self) -> bool:
        """Whether values are shades; otherwise they are colours or point into a palette."""
        return self.photometric in _GREY

    @property
    def is_inverted(self) -> bool:
        """Whether low values are bright."""
        return _SHAPES.get(self.shape, self.photometric == _GREY[0])

    @property
    def is_indexed(self) -> bool:
        """Whether values point into a palette."""
        return self.photometric == _INDEXED


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shades:
    """What the numbers of one grey frame mean.

    Attributes:
        gradient: Stored value times this ...
        intercept: ... plus this is the value in the units of the window.
        modality: A table that takes the place of gradient and intercept, or None.
        window: The window the file asks for, or None.
        voi: The table the file asks for in place of a window, or None.
        function: How a window is to be read.
        padding: Stored values (lowest, highest) that mark the outside of the image, or None.
        notes: Which of several was taken, what could not be read.
    """

    gradient: float
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
        gradient, intercept = place.number("RescaleSlope", 1.0), place.number("RescaleIntercept", 0.0)
        if not (math.isfinite(gradient) and math.isfinite(intercept)) or gradient == 0.0:
            raise ImageError(
                f"The DICOM's rescaling makes no sense: gradient {gradient:g}, intercept {intercept:g}. "
                "Correct the header, or export the image again from its origin."
            )
        modality, notes = _first_table(fields, "ModalityLUTSequence", "modality table", layout.signed)
        padding, more = _attempt(lambda: _padding(fields, layout), "The padding value in the file")
        plain = cls(
            gradient=1.0 if modality else gradient,
            intercept=0.0 if modality else intercept,
            modality=modality,
            window=None,
            voi=None,
            function="LINEAR",
            padding=padding,
            notes=notes + more + _several(len(place.numbers("RescaleSlope")), "rescalings"),
        )
        return plain._with_window(fields.macro("FrameVOILUTSequence", layout.index), layout)

    def _with_window(self, place: Fields, layout: Layout) -> Shades:
        named = _said(place, "VOILUTFunction")
        function = named if named in _FUNCTIONS else "LINEAR"
        negative = layout.signed or self.intercept < 0.0
        voi, notes = _first_table(place, "VOILUTSequence", "grey curve", negative)
        if voi is not None:
            return replace(self, voi=voi, function=function, notes=self.notes + notes)
        window, more = _attempt(lambda: _window(place, function), "The window in the file")
        if window is not None:
            more += _several(len(place.numbers("WindowCenter")), "windows")
        return replace(self, window=window, function=function, notes=self.notes + notes + more)

    @property
    def is_plain(self) -> bool:
        """Whether stored values are the values."""
        return self.modality is None and (self.gradient, self.intercept) == (1.0, 0.0)


def spacing_of(fields: Fields, layout: Layout) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """Millimetres per pixel (row, col), or None, and what to know about them.

    Where a file gives the shape of its pixels but not their size, only the ratio of the two counts.
    """
    place = fields.macro("PixelMeasuresSequence", layout.index)
    notes: tuple[str, ...] = ()
    for keyword, remark in _SPACINGS.items():
        holder = place if place.has(keyword) else fields
        spacing, complaint = _attempt(partial(_spacing, holder, keyword), "The pixel spacing in the file")
        notes += complaint
        if spacing is None:
            continue
        if keyword != "PixelAspectRatio":
            return spacing, notes + ((remark,) if remark else ())
        if spacing[0] != spacing[1]:
            return spacing, (*notes, remark.format(*spacing))
    return None, notes


def cautions(fields: Fields, layout: Layout) -> tuple[str, ...]:
    """What to beware of: text burned into the pixels, overlays and profiles that are not shown."""
    notes: tuple[str, ...] = ()
    stated = _said(fields, "BurnedInAnnotation")
    if stated == "YES":
        notes += (
            "Burned-in text: the file says that its pixels show identifying text. Look before sharing.",
        )
    elif _said(fields, "Modality") in _PRINTED_ON or _is_capture(fields):
        notes += ("Burned-in text: ultrasound and screen captures often show names. Look before sharing.",)
    elif stated != "NO":
        notes += (
            "Burned-in text: the file does not rule out identifying text in its pixels. Look before sharing.",
        )
    if fields.has_overlay():
        notes += ("The file brings overlay graphics, which are not drawn.",)
    if layout.is_grey and fields.has("RedPaletteColorLookupTableDescriptor"):
        notes += (
            "The file colours some of its values by a supplemental palette, which is not applied: "
            "all are shown grey.",
        )
    if 0 < fields.count("PerFrameFunctionalGroupsSequence") <= layout.index:
        notes += ("The file describes fewer frames than it has, and not the one that is shown.",)
    if fields.has("ICCProfile"):
        notes += ("Its colour profile (ICC) was not applied; colours are read as sRGB.",)
    return notes


def palette_of(fields: Fields, layout: Layout) -> tuple[Table, Table, Table]:
    """The red, green and blue table.

    Raises:
        ImageError: One is missing or damaged.
    """
    red, green, blue = (
        fields.table(
            f"{colour}PaletteColorLookupTableDescriptor",
            f"{colour}PaletteColorLookupTableData",
            negative=layout.signed,
        )
        for colour in ("Red", "Green", "Blue")
    )
    return red, green, blue


def _is_capture(fields: Fields) -> bool:
    return fields.has("ConversionType") or _said(fields, "SOPClassUID").startswith(_SECONDARY_CAPTURE)


def _attempt(read: Callable[[], Any], what: str) -> tuple[Any, tuple[str, ...]]:
    """What an element that can be done without says; a note when it cannot be read."""
    try:
        return read(), ()
    except Exception:
        return None, (f"{what} cannot be used.",)


def _said(fields: Fields, keyword: str) -> str:
    """A code that can be done without; empty when it cannot be read."""
    return _attempt(lambda: fields.text(keyword), keyword)[0] or ""


def _shift(fields: Fields, allocated: int, stored: int) -> tuple[int, tuple[str, ...]]:
    """How far above the lowest bit the values lie, by High Bit."""
    high, notes = _attempt(lambda: fields.number("HighBit", stored - 1.0), "High Bit in the file")
    shift = 0 if high is None else int(high) + 1 - stored
    if shift == 0 or 0 < shift <= allocated - stored:
        return shift, notes
    return 0, ("High Bit in the file cannot be used: values are read from the lowest bit on.",)


def lowered(stored: Values, layout: Layout) -> tuple[Values, tuple[str, ...]]:
    """Values moved down to the lowest bit, where they are stored higher up (High Bit).

    Args:
        stored: Not compressed: compressed data know no High Bit.
        layout: Of the pixels.
    """
    if not layout.shift or stored.dtype.kind == "f":
        return stored, ()
    top = 1 << layout.bits_stored
    if 0 <= stored.min() and stored.max() < top and (stored & ((1 << layout.shift) - 1)).any():
        note = "High Bit in the file contradicts its pixels: values are read from the lowest bit on."
        return stored, (note,)
    return stored >> layout.shift, (f"Values were moved down by {layout.shift} bits, as High Bit says.",)


def _first_table(
    place: Fields, keyword: str, what: str, negative: bool
) -> tuple[Table | None, tuple[str, ...]]:
    """The first table of a sequence that can be used, and notes on those that cannot, or are left."""
    read = partial(_table, place, keyword, negative)
    count, notes = _attempt(lambda: place.count(keyword), f"The {what} in the file")
    for index in range(min(count or 0, _MAX_TABLES)):
        table, complaint = _attempt(partial(read, index), f"The {what} in the file")
        if table is not None:
            return table, notes + _several(count, f"{what}s")
        # Said once, however many are empty.
        notes = complaint
    return None, notes


def _table(place: Fields, keyword: str, negative: bool, index: int) -> Table:
    item = place.item(keyword, index)
    if item is None:
        raise ImageError("There is no table.")
    return item.table("LUTDescriptor", "LUTData", negative=negative)


def _several(count: int, what: str) -> tuple[str, ...]:
    return (f"The file offers several {what}; the first usable one is used.",) if count > 1 else ()


def _window(place: Fields, function: str) -> Window | None:
    centres, widths = place.numbers("WindowCenter"), place.numbers("WindowWidth")
    if not centres and not widths:
        return None
    for pair in zip(centres, widths, strict=False):
        window: Window | None = _attempt(partial(Window.of, pair, function), "")[0]
        if window is not None:
            return window
    raise ImageError("No window has two numbers.")


def _spacing(place: Fields, keyword: str) -> tuple[float, float] | None:
    found = place.numbers(keyword)
    if not found:
        return None
    row, col = found
    if not (0.0 < row < math.inf and 0.0 < col < math.inf and 1 / _MAX_ASPECT < row / col < _MAX_ASPECT):
        raise ImageError(f"{keyword} is not two lengths.")
    return row, col


def _padding(fields: Fields, layout: Layout) -> tuple[float, float] | None:
    names = [f"{kind}PixelPadding" for kind in ("", "Float", "DoubleFloat")]
    name = next((name for name in names if fields.numbers(f"{name}Value")), names[0])
    ends = (*fields.numbers(f"{name}Value")[:1], *fields.numbers(f"{name}RangeLimit")[:1])
    if not ends:
        return None
    if layout.signed and name == names[0]:
        half = 2.0 ** (layout.bits_allocated - 1)
        ends = tuple(end - 2.0 * half if end >= half else end for end in ends)
    return min(ends), max(ends)
