"""What all objects that are written have in common: whose they are, what made them, what they refer to."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import groundviz
from groundviz.dicom_out.original import PATIENT, STUDY, Original, fill
from groundviz.images.dicom.containment import contained
from groundviz.record.types import Heatmap
from groundviz.render.base import captions
from groundviz.render.base.escape import visible
from groundviz.render.figures.capture import shows

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MAKER = "groundviz"
# All of Unicode: an answer may be in any script, and names are taken over from any character set.
_CHARACTERS = "ISO_IR 192"
# Series of what was made of an exam are sorted behind those of the devices.
_SERIES = 9000
# What DICOM's Long String may hold.
_LONGEST = 64
_FAILED = "The DICOM object could not be made: the original is of a rare kind, or its header is damaged"
_ADVICE = "Export it again from its origin, or write a secondary capture in place of outlines."


def title(heatmap: Heatmap) -> str:
    """A map in the few words that a series may have: its method, and that it shows where the model looked."""
    words = shows(heatmap)
    if captions.claim(heatmap):
        words = f"{captions.method_name(heatmap.method)}: {words}"
    return visible(words)[:_LONGEST]


def equipment(heatmap: Heatmap, number: int) -> dict[str, Any]:
    """What made an object, and its place: in a series of its own."""
    from highdicom import UID

    return {
        "manufacturer": MAKER,
        "manufacturer_model_name": MAKER,
        "software_versions": groundviz.__version__,
        "series_instance_uid": UID(),
        "series_number": _SERIES + number,
        "series_description": title(heatmap),
        "sop_instance_uid": UID(),
        "instance_number": 1,
    }


def blank(original: Original) -> Dataset:
    """The original without whose it is: highdicom logs what it does not like about a name."""
    made = copy.deepcopy(original.dataset)
    for keyword in (*PATIENT, *STUDY):
        if keyword in made and keyword != "StudyInstanceUID":
            del made[keyword]
    fill(made)
    return made


def named(made: Dataset, original: Original, inherited: Iterable[str] = ()) -> Dataset:
    """An object with the identity of the original's patient and study, and some of its other elements."""
    made.SpecificCharacterSet = _CHARACTERS
    for keyword in (*PATIENT, *STUDY, *inherited):
        if keyword in original.dataset:
            made[keyword] = copy.deepcopy(original.dataset[keyword])
    # Of one series there is one side, or none to be stated.
    if original.source_image.laterality in ("R", "L"):
        made.Laterality = original.source_image.laterality
    return made


def content(make: Callable[[], Dataset]) -> bytes:
    """The bytes of a DICOM file.

    Raises:
        ImageError: The original's header holds what cannot be taken over. The error does not say what: it may
            name the patient.
    """
    made, _ = contained(partial(_written, make), failed=_FAILED, advice=_ADVICE)
    return made


def _written(make: Callable[[], Dataset]) -> bytes:
    stream = io.BytesIO()
    make().save_as(stream, enforce_file_format=True)
    return stream.getvalue()
