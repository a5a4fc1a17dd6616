"""The windows that a reader of an image can choose from."""

from __future__ import annotations

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


def presets(source_image: SourceImage) -> list[list[Any]]:
    """Windows to choose from, as (name, level, width) of the display range 0 to 1.

    The window that was applied is all there is; a standard CT window is offered where it lies
    inside it.
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
    # Values far below zero are Hounsfield units.
    if source_image.window and not source_image.inverted and source_image.raw_range[0] <= -200.0:
        centre, width = source_image.window
        for name, (level, span) in _HOUNSFIELD.items():
            start = (level - span / 2 - centre) / width + 0.5
            stop = (level + span / 2 - centre) / width + 0.5
            if start >= 0.0 and stop <= 1.0:
                found.append([f"{name} (C {level:.0f} W {span:.0f})", (start + stop) / 2, stop - start])
    return found
