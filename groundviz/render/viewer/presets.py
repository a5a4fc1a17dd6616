"""The windows that a reader of an image can choose from, and what a length on it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from groundviz.record.types import SourceImage

_HOUNSFIELD = {
    "Lung": (-600.0, 1500.0),
    "Mediastinum": (40.0, 400.0),
    "Bone": (500.0, 2000.0),
    "Brain": (40.0, 80.0),
    "Liver": (60.0, 160.0),
}
# What a length is measured on, by the DICOM element that gives it. A mere ratio gives none.
_LENGTHS = {
    "PixelSpacing": "mm",
    "ImagerPixelSpacing": "mm at the detector",
    "NominalScannedPixelSpacing": "mm on the film",
}


def presets(source_image: SourceImage, meaning: Mapping[str, Any]) -> list[list[Any]]:
    """Windows to choose from, as (name, level, width) of what was read, which is 0 to 1.

    Where the values of the file were kept, all of them can be shown, and standard windows are offered for
    Hounsfield units. Else the window that was applied is all there is.

    Args:
        source_image: The image.
        meaning: As `Pixels.meaning` tells.
    """
    low, high = np.percentile(source_image.pixels, [1.0, 99.0]).tolist()
    if high <= low:
        low, high = 0.0, 1.0
    found: list[list[Any]] = [
        ["As read", 0.5, 1.0],
        ["1 to 99 % of the pixels", (low + high) / 2, high - low],
        ["Darker half", 0.25, 0.5],
        ["Brighter half", 0.75, 0.5],
    ]
    value = meaning["value"]
    if value is None:
        return found
    black, white = meaning["read"]
    ends = sorted((code - black) / (white - black) for code in (0, meaning["top"]))
    found.append(["All values", sum(ends) / 2, ends[1] - ends[0]])
    if value["unit"] == "HU" and "curve" not in meaning:
        first, last = (value["low"] + value["step"] * code for code in (black, white))
        shift, more = value["shift"]
        for name, (centre, span) in _HOUNSFIELD.items():
            level, width = (centre - shift - first) / (last - first), (span - more) / abs(last - first)
            found.append([f"{name} (C {centre:.0f} W {span:.0f})", level, width])
    return found


def millimetres(source_image: SourceImage) -> list[Any] | None:
    """Millimetres per pixel (row, col) and what they are measured on; None where lengths are unknown."""
    on = _LENGTHS.get(source_image.spacing_from)
    if on is None or source_image.spacing_mm is None:
        return None
    return [*source_image.spacing_mm, on]
