"""What a DICOM header says about the pixels: how they are laid out, and what their numbers mean."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from groundviz.errors import ImageError
from groundviz.images.fields import Fields
from groundviz.images.limits import MAX_FRAME_BYTES, choose_frame, frame_note, require_size
from groundviz.images.window import Table, Window

_GREY = ("MONOCHROME1", "MONOCHROME2")
_INDEXED = "PALETTE COLOR"
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")

# Kinds of images that devices often print names into.
_PRINTED_ON = ("US", "IVUS", "SC", "OT", "DOC")
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the pixels of a DICOM are stored, and which frame is wanted."""

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

    @classmethod
    def of(cls, fields: Fields, frame: int | None) -> Layout:
        """Read and check the layout, before any pixel is touched.

        Raises:
            ImageError: No picture, a picture that is too large, several frames and none chosen, or
                a kind of colour that is not read.
        """
        rows, cols = int(fields.number("Rows", 0.0)), int(fields.number("Columns", 0.0))
        if not rows and not cols:
            raise ImageError(
                "The DICOM file holds no picture: it has neither rows nor columns. Choose another."
            )
        require_size(rows, cols)
        frames = max(1, int(fields.number("NumberOfFrames", 1.0)))
        allocated = int(fields.number("BitsAllocated"))
        layout = cls(
            rows=rows,
            cols=cols,
            frames=frames,
            index=choose_frame(frame, frames),
            samples=int(fields.number("SamplesPerPixel", 1.0)),
            photometric=fields.text("PhotometricInterpretation"),
            bits_allocated=allocated,
            bits_stored=int(fields.number("BitsStored", float(allocated))),
            signed=fields.number("PixelRepresentation", 0.0) != 0.0,
            planar=int(fields.number("PlanarConfiguration", 0.0)),
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
        """Which frame is shown, if there are several."""
        return frame_note(self.index, self.frames)

    @property
    def is_grey(self) -> bool:
        """Whether values are shades; otherwise they are colours or point into a palette."""
        return self.photometric in _GREY

    @property
    def is_inverted(self) -> bool:
        """Whether low values are bright."""
        return self.photometric == _GREY[0]

    @property
    def is_indexed(self) -> bool:
        """Whether values point into a palette."""
        return self.photometric == _INDEXED


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shades:
    """What the numbers of one grey frame mean.

    Attributes:
        slope: Stored value times this ...
        intercept: ... plus this is the value in the units of the window.
        modality: A table that takes the place of slope and intercept, or None.
        window: The window the file asks for, or None.
        voi: The table the file asks for in place of a window, or None.
        function: How a window is to be read.
        padding: Stored values (lowest, highest) that mark the outside of the picture, or None.
        notes: Which of several was taken, what could not be read.
    """

    slope: float
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
        slope, intercept = place.number("RescaleSlope", 1.0), place.number("RescaleIntercept", 0.0)
        if not (math.isfinite(slope) and math.isfinite(intercept)) or slope == 0.0:
            raise ImageError(
                f"The DICOM's rescaling makes no sense: slope {slope:g}, intercept {intercept:g}. "
                "Correct the header, or export the image again from its origin."
            )
        item = fields.item("ModalityLUTSequence")
        modality = None if item is None else item.table("LUTDescriptor", "LUTData", negative=layout.signed)
        plain = cls(
            slope=1.0 if modality else slope,
            intercept=0.0 if modality else intercept,
            modality=modality,
            window=None,
            voi=None,
            function="LINEAR",
            padding=_padding(fields, layout),
            notes=(),
        )
        return plain._with_window(fields.macro("FrameVOILUTSequence", layout.index), layout)

    def _with_window(self, place: Fields, layout: Layout) -> Shades:
        named = place.text("VOILUTFunction")
        function = named if named in _FUNCTIONS else "LINEAR"
        table = place.item("VOILUTSequence")
        if table is not None:
            voi = table.table("LUTDescriptor", "LUTData", negative=layout.signed or self.intercept < 0.0)
            several = _several(1 if place.item("VOILUTSequence", 1) is None else 2, "grey curves")
            return replace(self, voi=voi, function=function, notes=several)
        window, notes = _attempt(lambda: _window(place, function), "The window in the file cannot be used.")
        if window is not None:
            notes += _several(len(place.numbers("WindowCenter")), "windows")
        return replace(self, window=window, function=function, notes=notes)

    @property
    def is_plain(self) -> bool:
        """Whether stored values are the values."""
        return self.modality is None and (self.slope, self.intercept) == (1.0, 0.0)


def spacing_of(fields: Fields, layout: Layout) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """Millimetres per pixel (row, col), or None, and what to know about them."""
    place = fields.macro("PixelMeasuresSequence", layout.index)
    detector = not place.has("PixelSpacing") and place.has("ImagerPixelSpacing")
    keyword = "ImagerPixelSpacing" if detector else "PixelSpacing"
    spacing, notes = _attempt(
        lambda: _spacing(place, keyword), "The pixel spacing in the file cannot be used."
    )
    if spacing is not None and detector:
        notes += ("Pixel spacing is that of the detector, not corrected for magnification.",)
    return spacing, notes


def cautions(fields: Fields) -> tuple[str, ...]:
    """What to beware of: text burned into the pixels, overlays and profiles that are not shown."""
    notes: tuple[str, ...] = ()
    stated = fields.text("BurnedInAnnotation")
    if stated == "YES":
        notes += (
            "Burned-in text: the file says that its pixels show identifying text. Look before sharing.",
        )
    elif fields.text("Modality") in _PRINTED_ON or _is_capture(fields):
        notes += ("Burned-in text: ultrasound and screen captures often show names. Look before sharing.",)
    elif stated != "NO":
        notes += (
            "Burned-in text: the file does not rule out identifying text in its pixels. Look before sharing.",
        )
    if fields.has_overlay():
        notes += ("The file brings overlay graphics, which are not drawn.",)
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
    return fields.has("ConversionType") or fields.text("SOPClassUID").startswith(_SECONDARY_CAPTURE)


def _attempt(read: Callable[[], Any], complaint: str) -> tuple[Any, tuple[str, ...]]:
    """What an element that can be done without says; a note when it cannot be read."""
    try:
        return read(), ()
    except Exception:
        return None, (complaint,)


def _several(count: int, what: str) -> tuple[str, ...]:
    return (f"The file offers several {what}; the first is used.",) if count > 1 else ()


def _window(place: Fields, function: str) -> Window | None:
    centres, widths = place.numbers("WindowCenter"), place.numbers("WindowWidth")
    if not centres and not widths:
        return None
    return Window.of((centres[0], widths[0]), function)


def _spacing(place: Fields, keyword: str) -> tuple[float, float] | None:
    found = place.numbers(keyword)
    if not found:
        return None
    row, col = found
    if not (0.0 < row < math.inf and 0.0 < col < math.inf):
        raise ImageError(f"{keyword} is not two lengths.")
    return row, col


def _padding(fields: Fields, layout: Layout) -> tuple[float, float] | None:
    ends = (*fields.numbers("PixelPaddingValue")[:1], *fields.numbers("PixelPaddingRangeLimit")[:1])
    if not ends:
        return None
    if layout.signed:
        half = 2.0 ** (layout.bits_allocated - 1)
        ends = tuple(end - 2.0 * half if end >= half else end for end in ends)
    return min(ends), max(ends)
