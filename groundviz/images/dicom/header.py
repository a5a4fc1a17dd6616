"""What a DICOM header says besides layout and grey values: pixel spacing, place, palette, cautions."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from groundviz.errors import ImageError
from groundviz.images.base.window import Table
from groundviz.images.dicom.fields import Fields, attempted
from groundviz.images.dicom.layout import Layout, frame_count
from groundviz.record.types import Doubles

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

# The patient's axes in DICOM: towards the left, the back and the head; PS3.3 C.7.6.2.1.1.
_TOWARDS = (("L", "R"), ("P", "A"), ("H", "F"))
_OPPOSITE = str.maketrans("LRAPHF", "RLPAFH")
_LETTERS = re.compile("[LRAPHF]{1,3}")
# An axis that makes up less of a direction has no letter.
_LEAST = 0.35

# Direction cosines as far apart as this are of other planes: about a third of a degree.
PARALLEL = 0.006

# Kinds of images that devices often print names into.
_PRINTED_ON = ("US", "IVUS", "SC", "OT", "DOC")
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Place:
    """What a header says of an image's place in a series.

    Attributes:
        series: A hash that tells series apart, and nothing else of them.
        size: Rows and columns.
        frames: How many frames the file has.
        number: Instance Number, or None.
        position: Millimetres along the line that stands upright on the plane, or None.
        normal: The direction in which positions grow, float64 (3,), or None.
    """

    series: bytes = field(repr=False)
    size: tuple[int, int]
    frames: int
    number: float | None
    position: float | None
    normal: Doubles | None = field(repr=False)

    @classmethod
    def of(cls, fields: Fields) -> Place | None:
        """The place of a header's image; None where it holds no image.

        Raises:
            ImageError: The header is damaged.
        """
        size = int(fields.number("Rows", 0.0)), int(fields.number("Columns", 0.0))
        if not all(size):
            return None
        stated = attempted(lambda: fields.number("InstanceNumber", math.nan), "")[0]
        found = _plane(fields, 0)
        return cls(
            series=fields.digest("SeriesInstanceUID"),
            size=size,
            frames=frame_count(fields),
            number=stated if stated is not None and math.isfinite(stated) else None,
            position=None if found is None else found[0],
            normal=None if found is None else found[1],
        )


def spacing_of(fields: Fields, layout: Layout) -> tuple[tuple[float, float] | None, str, tuple[str, ...]]:
    """Millimetres per pixel (row, col), or None, the element that gave them, and notes on them.

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
        return spacing, keyword, notes
    return None, "", notes


def edges_of(fields: Fields, layout: Layout) -> tuple[str, str, str, str] | None:
    """Letters of the left, upper, right and lower edge, or None where the file does not say."""
    directions = attempted(partial(_directions, fields, layout), "")[0]
    if directions is None:
        return None
    right, lower = directions
    return right.translate(_OPPOSITE), lower.translate(_OPPOSITE), right, lower


def position_of(fields: Fields, index: int) -> tuple[float | None, str]:
    """Millimetres along the line upright on a frame's plane, and the letters of where they grow."""
    found = _plane(fields, index)
    if found is None:
        return None, ""
    position, normal = found
    return position, _letters(tuple(normal.tolist()))


def laterality_of(fields: Fields) -> str:
    """Which side the file says it shows: "R", "L", or "B" for both; empty where the file does not say."""
    for keyword in ("ImageLaterality", "Laterality"):
        stated = fields.code(keyword)
        if stated in ("R", "L", "B"):
            return stated
    return ""


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


def _directions(fields: Fields, layout: Layout) -> tuple[str, str] | None:
    """Where rows and columns run, by direction cosines or, in a radiograph, by letters."""
    cosines = _orientation(fields, layout.index)
    if cosines:
        right, lower = _letters(cosines[:3]), _letters(cosines[3:])
    else:
        stated = fields.value("PatientOrientation")
        if not stated or isinstance(stated, str) or len(stated) != 2:
            return None
        right, lower = (str(one).strip().upper() for one in stated)
    if not (_LETTERS.fullmatch(right) and _LETTERS.fullmatch(lower)):
        raise ImageError("The orientation in the file is not two directions.")
    return right, lower


def _plane(fields: Fields, index: int) -> tuple[float, Doubles] | None:
    """A plane's position and the direction upright on it, or None where the file does not say."""
    found: tuple[float, Doubles] | None = attempted(lambda: _stated(fields, index), "")[0]
    return found


def _stated(fields: Fields, index: int) -> tuple[float, Doubles] | None:
    cosines = _orientation(fields, index)
    place = fields.macro("PlanePositionSequence", index)
    corner = place.numbers("ImagePositionPatient")
    # A position that stands in the header itself is not that of each frame.
    if not cosines or len(corner) != 3 or (place is fields and frame_count(fields) > 1):
        return None
    normal = np.cross(cosines[:3], cosines[3:])
    length = np.linalg.norm(normal)
    if not (np.isfinite([*cosines, *corner]).all() and abs(length - 1.0) < 0.05):
        return None
    normal = normal / length
    # Towards the left, the back or the head, whichever way rows and columns run.
    normal *= np.sign(normal[np.abs(normal).argmax()])
    # Adding zero turns a negative zero into a positive one.
    return round(float(np.dot(normal, corner)), 4) + 0.0, normal


def _orientation(fields: Fields, index: int) -> tuple[float, ...]:
    """The direction cosines of a frame's rows, then of its columns: six numbers, or none."""
    cosines = fields.macro("PlaneOrientationSequence", index).numbers("ImageOrientationPatient")
    return cosines if len(cosines) == 6 else ()


def _letters(cosines: tuple[float, ...]) -> str:
    """The axes that a direction follows, the strongest first."""
    found = sorted(zip(cosines, _TOWARDS, strict=True), key=lambda one: -abs(one[0]))
    return "".join(names[along < 0] for along, names in found if abs(along) >= _LEAST)
