"""What a DICOM header says besides layout and grey values: pixel spacing, palette, cautions."""

from __future__ import annotations

import math
from functools import partial

from groundviz.errors import ImageError
from groundviz.images.base.window import Table
from groundviz.images.dicom.fields import Fields, attempted
from groundviz.images.dicom.layout import Layout

# The elements that give a spacing, the most reliable first, and a note on each.
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

# Kinds of images that devices often print names into.
_PRINTED_ON = ("US", "IVUS", "SC", "OT", "DOC")
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def spacing_of(fields: Fields, layout: Layout) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """Millimetres per pixel (row, col), or None, and notes on them.

    Where a file gives the shape of its pixels but not their size, only the ratio of the two means
    something.
    """
    place = fields.macro("PixelMeasuresSequence", layout.index)
    notes: tuple[str, ...] = ()
    for keyword, remark in _SPACINGS.items():
        holder = place if place.has(keyword) else fields
        spacing, complaint = attempted(partial(_spacing, holder, keyword), "The pixel spacing in the file")
        notes += complaint
        if spacing is None:
            continue
        if keyword == "PixelAspectRatio":
            if spacing[0] == spacing[1]:
                # Square pixels of unknown size are what is assumed without any spacing.
                continue
            remark = remark.format(*spacing)
        if remark:
            notes = (*notes, remark)
        return spacing, notes
    return None, notes


def cautions(fields: Fields, layout: Layout) -> tuple[str, ...]:
    """Notes on dangers: text burned into the pixels, overlays and colour profiles that are not shown."""
    notes: tuple[str, ...] = ()
    stated = fields.code("BurnedInAnnotation")
    is_secondary = fields.code("SOPClassUID").startswith(_SECONDARY_CAPTURE)
    is_capture = fields.has("ConversionType") or is_secondary
    if stated == "YES":
        notes += (
            "Burned-in text: the file says that its pixels show identifying text. Look before sharing.",
        )
    elif fields.code("Modality") in _PRINTED_ON or is_capture:
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


def _spacing(place: Fields, keyword: str) -> tuple[float, float] | None:
    found = place.numbers(keyword)
    if not found:
        return None
    row, col = found
    if not (0.0 < row < math.inf and 0.0 < col < math.inf and 1 / _MAX_ASPECT < row / col < _MAX_ASPECT):
        raise ImageError(f"{keyword} is not two lengths.")
    return row, col
