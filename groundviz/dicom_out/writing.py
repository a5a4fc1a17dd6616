"""A map as a DICOM file, whose name says of which kind it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundviz.dicom_out import made
from groundviz.dicom_out.capture import secondary_capture
from groundviz.dicom_out.original import original_of
from groundviz.dicom_out.outlines import levels, presentation_state
from groundviz.errors import StoreError, UnknownName
from groundviz.record import files
from groundviz.record.types import Heatmap, Record
from groundviz.render.figures.capture import captured

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from groundviz.images import Source

# What each suffix stands for.
FORMATS: Mapping[str, str] = {
    ".dcm": "a map over its image, as a DICOM secondary capture",
    ".gsps.dcm": "the outlines of a map, as a DICOM grayscale softcopy presentation state",
}


def is_dicom(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name stands for DICOM.

    >>> is_dicom("map.gsps.dcm"), is_dicom("map.csv")
    (True, False)
    """
    return files.place(path).name.lower().endswith(".dcm")


def refuse_original(path: str | os.PathLike[str], original: Any) -> None:
    """Notice before anything is written that it would take the place of the original.

    Args:
        path: Where is to be written.
        original: The original: a path, an open file, or a data set that was read from one; anything else lies
            nowhere.

    Raises:
        StoreError: They are one file, under whatever names.
    """
    lies = original
    if not isinstance(original, str | os.PathLike):
        lies = getattr(original, "filename", None) or getattr(original, "name", None)
    one = False
    # Where one of them is not there, they are two.
    with suppress(OSError, ValueError, TypeError):
        one = files.place(path).samefile(lies)
    if one:
        raise StoreError(
            "The original lies in that place, and would be lost: it is never replaced. Choose another name."
        )


def export(
    record: Record,
    heatmap: Heatmap,
    path: str | os.PathLike[str],
    original: Source,
    *,
    frame: int | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a map beside its original.

    Args:
        record: What the map is of.
        heatmap: The map.
        path: Where to write; the name ends in one of `FORMATS`.
        original: The DICOM file that was explained, see `groundviz.dicom_out.original.original_of`.
        frame: Which of several frames was explained, from 0.
        overwrite: Whether a file of that name may be replaced.

    Raises:
        UnknownName: The name ends otherwise.
        ImageError: The original is not the image that was explained, or cannot be referred to.
        TargetError: The map has no outlines.
        StoreError: A file of that name exists and `overwrite` is False, it is the original, or it cannot be
            written.
        MissingExtra: highdicom is not installed.
    """
    place = files.new_place(path)
    if not is_dicom(place):
        known = "; ".join(f"{suffix}: {what}" for suffix, what in FORMATS.items())
        raise UnknownName(f"The name says no kind of DICOM file. End it with one of these: {known}.")
    refuse_original(place, original)
    found = original_of(original, record.source_images[heatmap.grid.image], frame)
    make: Callable[[], Dataset]
    if place.name.lower().endswith(".gsps.dcm"):
        make = partial(presentation_state, record, heatmap, levels(heatmap, found), found)
    else:
        make = partial(secondary_capture, captured(record, heatmap), heatmap, found)
    return files.write(place, made.content(make), overwrite=overwrite)
