"""A builder of small DICOM files from numbers, shared by the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

MakeDicom = Callable[..., Path]


@pytest.fixture
def make_dicom(tmp_path: Path) -> MakeDicom:
    """make_dicom(pixels, syntax=..., **elements) writes a file and gives its path.

    Rows, columns, samples and bits follow from the array; any of them can be overridden, and None
    leaves an element out. `pixels` may be bytes.
    """
    pydicom = pytest.importorskip("pydicom")
    count = 0

    def make(pixels: Any, *, syntax: str = "ExplicitVRLittleEndian", **elements: Any) -> Path:
        nonlocal count
        count += 1
        dataset = pydicom.Dataset()
        facts: dict[str, Any] = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "BurnedInAnnotation": "NO"}
        if isinstance(pixels, np.ndarray):
            facts |= _described(pixels)
            big = syntax == "ExplicitVRBigEndian"
            pixels = pixels.astype(pixels.dtype.newbyteorder(">" if big else "<")).tobytes()
        for keyword, value in (facts | elements).items():
            if value is not None:
                setattr(dataset, keyword, value)
        dataset.PixelData = pixels + b"\0" * (len(pixels) % 2)
        dataset["PixelData"].VR = "OW" if facts.get("BitsAllocated", 8) > 8 else "OB"
        dataset.preamble = bytes(128)
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        uid = getattr(pydicom.uid, syntax)
        dataset.file_meta.TransferSyntaxUID = uid
        if uid.is_encapsulated:
            dataset["PixelData"].is_undefined_length = True
        path = tmp_path / f"{count}.dcm"
        dataset.save_as(
            path,
            enforce_file_format=False,
            implicit_vr=uid.is_implicit_VR,
            little_endian=uid.is_little_endian,
        )
        return path

    return make


def _described(pixels: np.ndarray) -> dict[str, Any]:
    """The elements that describe an array (rows, cols), (rows, cols, 3) or (frames, rows, cols)."""
    colour = pixels.ndim == 3 and pixels.shape[2] == 3
    frames = pixels.ndim == 3 and not colour
    rows, cols = pixels.shape[1:3] if frames else pixels.shape[:2]
    bits = 8 * pixels.dtype.itemsize
    facts = {
        "SamplesPerPixel": 3 if colour else 1,
        "PhotometricInterpretation": "RGB" if colour else "MONOCHROME2",
        "Rows": rows,
        "Columns": cols,
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
    }
    if colour:
        facts["PlanarConfiguration"] = 0
    if frames:
        facts["NumberOfFrames"] = pixels.shape[0]
    return facts
