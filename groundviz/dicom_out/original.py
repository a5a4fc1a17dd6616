"""The DICOM file of an image that was explained: what is taken from it, and whether it is that image."""

from __future__ import annotations

import copy
import io
import os
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from groundviz import images
from groundviz.errors import ImageError, MissingExtra
from groundviz.images.base.intake import content_of, opened
from groundviz.images.dicom import reading
from groundviz.images.dicom.containment import contained
from groundviz.images.dicom.elements import KEYWORDS
from groundviz.images.dicom.fields import Fields
from groundviz.images.dicom.layout import Layout
from groundviz.images.dicom.shades import Shades
from groundviz.record.types import SourceImage

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

# Whose image it is, and of which exam: what another object of the same exam states as well.
PATIENT = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex"),
    *("PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence"),
)
STUDY = (
    *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "StudyDescription"),
    *("AccessionNumber", "ReferringPhysicianName", "PatientAge", "SyntheticData"),
)
# What DICOM wants every object to state, if only as an empty element.
EMPTY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
)
# What a new object names the original by.
REFERENCES = ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID")
# What holds of every image that is made of it.
INHERITED = (
    *("BurnedInAnnotation", "RecognizableVisualFeatures"),
    *("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
)
_TAKEN = (*PATIENT, *STUDY, *REFERENCES, *INHERITED, *KEYWORDS, "SpecificCharacterSet")
# Rounding of float32; two levels of 16 bits lie further apart.
_SAME = 1e-6


@dataclass(frozen=True, slots=True, repr=False, eq=False, kw_only=True)
class Original:
    """An image's file, as far as it is needed. It names a patient, so it is never kept, logged or shown.

    Attributes:
        dataset: The listed elements, their texts decoded; no pixels, and nothing that DICOM does not define.
        source_image: The image as it was explained.
        number: Which of several frames was explained, counted from 1; None where there is one.
        little: Whether its words are stored low byte first.
    """

    dataset: Dataset
    source_image: SourceImage
    number: int | None
    little: bool

    @property
    def layout(self) -> Layout:
        """How its pixels are stored."""
        return Layout.of(self._fields, None if self.number is None else self.number - 1)

    @property
    def shades(self) -> Shades:
        """What its grey values mean."""
        return Shades.of(self._fields, self.layout)

    @property
    def _fields(self) -> Fields:
        return Fields(self.dataset, little=self.little)


def require() -> None:
    """Make sure that highdicom is installed.

    Raises:
        MissingExtra: With the command that installs it.
    """
    try:
        import_module("highdicom")
    except ImportError:
        missing = True
    else:
        missing = False
    if missing:
        raise MissingExtra(
            'Writing DICOM needs highdicom. Install it with: pip install "groundviz[dicom-out]"'
        )


def original_of(source: images.Source, explained: SourceImage, frame: int | None = None) -> Original:
    """The file of an image that was explained.

    It counts as that image where its pixels, shown in the same window, are the same; whose they are does not
    matter: the original of a file that was explained without its names will do.

    Args:
        source: A path, the content of a file as bytes or open for reading, or a pydicom data set.
        explained: The image that was explained.
        frame: Which of several frames it is, from 0.

    Raises:
        ImageError: It is no DICOM file or cannot be read, it holds another image, or nothing can refer to it.
        MissingExtra: highdicom is not installed.
    """
    require()
    if not reading.is_dataset(source):
        source = _content(source)
    found = images.load(source, frame=frame, window=explained.window)
    if found.source != "dicom":
        raise ImageError(
            f"The original is no DICOM file: found {found.source!r}, expected 'dicom', which alone names a "
            "patient and an exam. Give the DICOM file that the image comes from."
        )
    _refuse_another(found, explained)
    (dataset, little), _ = contained(partial(_listed, source))
    for keyword in REFERENCES:
        _refuse_nameless(dataset, keyword)
    number = None
    if int(dataset.get("NumberOfFrames") or 1) > 1:
        number = (frame or 0) + 1
    return Original(dataset=dataset, source_image=explained, number=number, little=little)


def fill(dataset: Dataset) -> None:
    """Add what every object states, as empty elements, where it is not there."""
    from pydicom.datadict import dictionary_VR
    from pydicom.tag import Tag

    for keyword in EMPTY:
        if keyword not in dataset:
            dataset.add_new(Tag(keyword), dictionary_VR(keyword), None)


def _content(source: Any) -> bytes:
    """The bytes of a file, read once: what is compared is what is referred to."""
    if isinstance(source, str | os.PathLike):
        with opened(os.fspath(source)) as stream:
            return stream.read()
    if isinstance(source, bytes | bytearray | memoryview) or hasattr(source, "read"):
        content, _ = contained(partial(content_of, source))
        return content
    raise ImageError(
        f"The original is no DICOM file: {type(source).__name__!r} was given. Give its path, its content as "
        "bytes, or a pydicom Dataset."
    )


def _refuse_another(found: SourceImage, explained: SourceImage) -> None:
    advice = "Give the file that was explained, and its frame where it has several."
    if found.pixels.shape != explained.pixels.shape:
        sizes = [" x ".join(map(str, one.pixels.shape)) for one in (found, explained)]
        raise ImageError(
            f"The original is another image than the one explained: it has {sizes[0]} pixels, expected "
            f"{sizes[1]}. {advice}"
        )
    if found.sha256 == explained.sha256:
        return
    away = float(np.abs(found.pixels - explained.pixels).max())
    if away > _SAME:
        raise ImageError(
            "The original is another image than the one explained, or a copy that was compressed or "
            f"converted: its pixels differ by up to {100 * away:.3g}% of white, expected the same. {advice}"
        )


def _refuse_nameless(dataset: Dataset, keyword: str) -> None:
    from pydicom import config
    from pydicom.uid import UID

    # pydicom would warn of the value itself.
    if not UID(str(dataset.get(keyword) or ""), config.IGNORE).is_valid:
        raise ImageError(
            f"The original lacks a valid {keyword}, without which nothing can refer to it. "
            "Export it again from its origin."
        )


def _listed(source: Any) -> tuple[Dataset, bool]:
    """A data set of the listed elements, with decoded texts, and whether its words begin with the low byte.

    A data set of the caller's stays as it is.
    """
    import pydicom
    from pydicom.tag import Tag

    tags = [Tag(word) for word in _TAKEN]
    read = source
    if isinstance(source, bytes):
        stream = io.BytesIO(source)
        read = pydicom.dcmread(stream, stop_before_pixels=True, force=True, specific_tags=tags)
    kept = pydicom.Dataset()
    kept.update({tag: copy.deepcopy(read[tag]) for tag in tags if tag in read})
    _drop_unknown(kept)
    kept.decode()
    fill(kept)
    _, little = read.original_encoding
    return kept, little is not False


def _drop_unknown(dataset: Dataset) -> None:
    """Leave out, also in the items of sequences, what DICOM does not define: nobody knows whom it names."""
    from pydicom.datadict import dictionary_has_tag

    for tag in list(dataset.keys()):
        if not dictionary_has_tag(tag):
            del dataset[tag]
        elif dataset[tag].VR == "SQ":
            for item in dataset[tag].value:
                _drop_unknown(item)
