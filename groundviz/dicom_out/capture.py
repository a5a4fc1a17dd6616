"""A map over its image as a DICOM secondary capture: another image beside the original, in the same exam."""

from __future__ import annotations

from typing import TYPE_CHECKING

from groundviz.dicom_out import made
from groundviz.dicom_out.original import INHERITED, Original
from groundviz.record.types import Heatmap
from groundviz.render.base import captions
from groundviz.render.base.escape import visible
from groundviz.render.figures.canvas import Levels
from groundviz.render.figures.capture import DERIVED, shows

if TYPE_CHECKING:
    from highdicom.sc import SCImage
    from pydicom.dataset import Dataset

_SERIES = 1


def secondary_capture(pixels: Levels, heatmap: Heatmap, original: Original) -> SCImage:
    r"""The object: DERIVED\SECONDARY, in colour of 8 bits, with a reference to the original.

    It has no spacing: lengths are measured on the original.

    Args:
        pixels: The image under its map, uint8 (rows, cols, 3).
        heatmap: The map on it.
        original: The file of its image.
    """
    from highdicom.sc import SCImage

    own = made.equipment(heatmap, _SERIES)
    image = SCImage(
        pixel_array=pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        # Wanted here, also where it is not known: what is known follows.
        patient_orientation=("L", "F"),
        study_instance_uid=original.dataset.StudyInstanceUID,
        **own,
    )
    image.PatientOrientation = list(original.source_image.edges or ())[2:]
    # Synthetic: no device was read off.
    image.ConversionType = "SYN"
    image.DerivationDescription = _description(heatmap, own["software_versions"])
    image.SourceImageSequence = [_source(original)]
    made.named(image, original, INHERITED)
    return image


def _description(heatmap: Heatmap, release: str) -> str:
    of = visible(captions.quoted(heatmap.target))[:200]
    method = captions.method_name(heatmap.method)
    what = f"{DERIVED}: {shows(heatmap)}. {visible(method)} for {of}, in {visible(heatmap.unit)}"
    return f"{what}; colours over the image, by {made.MAKER} {release}."


def _source(original: Original) -> Dataset:
    """What it was made of."""
    from highdicom.sr import CodedConcept
    from pydicom.dataset import Dataset
    from pydicom.sr.codedict import codes

    source = Dataset()
    source.ReferencedSOPClassUID = original.dataset.SOPClassUID
    source.ReferencedSOPInstanceUID = original.dataset.SOPInstanceUID
    if original.number is not None:
        source.ReferencedFrameNumber = original.number
    purpose = codes.DCM.SourceImageForImageProcessingOperation
    source.PurposeOfReferenceCodeSequence = [CodedConcept.from_code(purpose)]
    # It has margins of words.
    source.SpatialLocationsPreserved = "NO"
    return source
