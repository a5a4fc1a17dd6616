"""DICOM files with a patient, and records of the images in them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset

from groundviz.record.types import Record, SourceImage
from tests.support import records

ROWS, COLS = 60, 84
# What may stand in no message and no log.
PATIENT = {
    "PatientName": "ZZMüller^Jürgen",
    "PatientID": "ZZ4711",
    "PatientBirthDate": "19500203",
    "PatientSex": "M",
    "StudyDate": "20260102",
    "StudyTime": "101112",
    "StudyID": "ZZ1",
    "AccessionNumber": "ZZ2",
    "ReferringPhysicianName": "ZZReferrer",
    "StudyDescription": "ZZChest",
}
UIDS = {
    "SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1",
    "SOPInstanceUID": "1.2.3.4.3",
    "StudyInstanceUID": "1.2.3.4.1",
    "SeriesInstanceUID": "1.2.3.4.2",
}


def levels(bits: int = 12, rows: int = ROWS, cols: int = COLS) -> np.ndarray:
    """A chest in whole numbers."""
    return np.rint(records.chest(rows, cols) * (2**bits - 1)).astype(np.uint16)


def original(stored: np.ndarray | None = None, **elements: Any) -> Dataset:
    """A data set of stored values (rows, cols), (rows, cols, 3) or (frames, rows, cols); None leaves out."""
    stored = levels() if stored is None else stored
    colour = stored.ndim == 3 and stored.shape[2] == 3
    bits = 8 * stored.dtype.itemsize
    facts: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 100",
        **PATIENT,
        **UIDS,
        "Modality": "DX",
        "SamplesPerPixel": 3 if colour else 1,
        "PhotometricInterpretation": "RGB" if colour else "MONOCHROME2",
        "Rows": stored.shape[0] if colour or stored.ndim == 2 else stored.shape[1],
        "Columns": stored.shape[1] if colour or stored.ndim == 2 else stored.shape[2],
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(stored.dtype.kind == "i"),
        "BurnedInAnnotation": "NO",
        "PatientOrientation": ["L", "F"],
        "WindowCenter": 2048,
        "WindowWidth": 4096,
    }
    if colour:
        facts["PlanarConfiguration"] = 0
    elif stored.ndim == 3:
        facts["NumberOfFrames"] = len(stored)
    dataset = Dataset()
    # Files hold what they should not.
    with pydicom.config.disable_value_validation():
        for keyword, value in (facts | elements).items():
            if value is not None:
                setattr(dataset, keyword, value)
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW" if bits > 8 else "OB"
    dataset.preamble = bytes(128)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    return dataset


def content(dataset: Dataset) -> bytes:
    stream = io.BytesIO()
    with pydicom.config.disable_value_validation():
        dataset.save_as(stream, enforce_file_format=False, implicit_vr=False, little_endian=True)
    return stream.getvalue()


def record_of(image: SourceImage, cells: int = 14) -> Record:
    """A record of an image that the model saw as a square in its middle."""
    return records.record_of([image], [records.cropped_grid(*image.shape, cells)])
