"""Phantoms as files: `python scripts/export_samples.py sample_images` writes the sample images.

Equal phantoms give equal DICOM bytes, and PNG files of equal pixels.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from groundviz.demo.phantoms import Phantom
from groundviz.demo.samples import SAMPLES, SIZE, to_levels
from groundviz.errors import MissingExtra
from groundviz.record import files
from groundviz.record.types import Bools, Floats

BITS = 12
FIELD_OF_VIEW_MM = 360.0
COMMAND = "python scripts/export_samples.py sample_images"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def to_png(pixels: Floats, *, bits: int = 8) -> bytes:
    """An image in [0, 1] as a grey PNG of 8 or 16 bits.

    >>> to_png(np.zeros((2, 2), np.float32))[1:4]
    b'PNG'
    """
    return _png(to_levels(pixels, bits))


def mask_to_png(mask: Bools) -> bytes:
    """A mask as an 8-bit PNG, 255 inside and 0 outside."""
    return _png(mask.astype(np.uint8) * np.uint8(255))


def to_dicom(drawn: Phantom) -> bytes:
    """A phantom as a DICOM file: 12-bit MONOCHROME2, windowed to show every level, marked synthetic.

    Its patient has no name, number or date: there is none.

    Raises:
        MissingExtra: pydicom is not installed.

    >>> to_dicom(phantom(3))[128:132]
    b'DICM'
    """
    try:
        from pydicom import dcmwrite
        from pydicom.dataset import FileDataset, FileMetaDataset
    except ImportError:
        raise MissingExtra(
            "DICOM files need pydicom, which is not installed. Install it: pip install 'groundviz[dicom]'."
        ) from None
    meta = FileMetaDataset()
    _fill(meta, _file_meta(drawn))
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    _fill(dataset, {**_identity(drawn), **_image(drawn)})
    stream = io.BytesIO()
    dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def sample_files() -> Iterator[tuple[str, bytes]]:
    """Every file of the sample images: path within the folder, and content."""
    for sample in SAMPLES:
        drawn = sample.draw()
        yield f"{sample.name}.png", to_png(drawn.pixels)
        for finding, mask in zip(drawn.names, drawn.masks, strict=True):
            suffix = f"-{finding}" if len(drawn.names) > 1 else ""
            yield f"masks/{sample.name}{suffix}.png", mask_to_png(mask)
    first = SAMPLES[0].draw()
    yield f"{SAMPLES[0].name}_16bit.png", to_png(first.pixels, bits=16)
    yield f"{SAMPLES[0].name}.dcm", to_dicom(first)
    yield "SOURCES.md", _sources().encode()


def main(argv: list[str] | None = None) -> None:
    """Write the sample images into a folder."""
    parser = argparse.ArgumentParser(description="Write groundviz's synthetic sample images.")
    parser.add_argument("folder", type=Path, help="where to write them")
    parser.add_argument("--overwrite", action="store_true", help="replace files of the same names")
    chosen = parser.parse_args(argv)
    files.folder_for_writing(chosen.folder / "masks")
    for name, content in sample_files():
        files.write(chosen.folder / name, content, overwrite=chosen.overwrite)


def _png(levels: npt.NDArray[np.uint8 | np.uint16]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(levels).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _fill(dataset: Any, elements: dict[str, Any]) -> None:
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)


def _file_meta(drawn: Phantom) -> dict[str, Any]:
    return {
        "MediaStorageSOPClassUID": SECONDARY_CAPTURE,
        "MediaStorageSOPInstanceUID": _uid(drawn, "instance"),
        "TransferSyntaxUID": EXPLICIT_LITTLE_ENDIAN,
        # Without these the writer would name itself and its version.
        "ImplementationClassUID": _uid(None, "implementation"),
        "ImplementationVersionName": "GROUNDVIZ",
    }


def _identity(drawn: Phantom) -> dict[str, Any]:
    """What DICOM demands to be there, empty wherever it may be empty."""
    must_be_there = (
        "PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime StudyID AccessionNumber "
        "ReferringPhysicianName SeriesNumber InstanceNumber"
    )
    return {
        **dict.fromkeys(must_be_there.split()),
        "SOPClassUID": SECONDARY_CAPTURE,
        "SOPInstanceUID": _uid(drawn, "instance"),
        "StudyInstanceUID": _uid(drawn, "source_image"),
        "SeriesInstanceUID": _uid(drawn, "series"),
        "Modality": "OT",
        "ConversionType": "SYN",
        "SyntheticData": "YES",
        "ImageType": ["DERIVED", "SECONDARY"],
        "ImageComments": "Synthetic phantom, not a person",
        "BurnedInAnnotation": "NO",
        "PatientOrientation": ["L", "F"],
    }


def _image(drawn: Phantom) -> dict[str, Any]:
    side = len(drawn.pixels)
    stored = to_levels(drawn.pixels, BITS).astype("<u2")
    return {
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": side,
        "Columns": side,
        "BitsAllocated": 16,
        "BitsStored": BITS,
        "HighBit": BITS - 1,
        "PixelRepresentation": 0,
        "PixelSpacing": [round(FIELD_OF_VIEW_MM / side, 6)] * 2,
        # Centre c and width w map c - 1/2 - (w-1)/2 to black and c - 1/2 + (w-1)/2 to white: 0 and top.
        "WindowCenter": 2 ** (BITS - 1),
        "WindowWidth": 2**BITS,
        "PixelData": stored.tobytes(),
    }


def _uid(drawn: Phantom | None, what: str) -> str:
    """A UID made of the phantom's truth alone, so that writing it again gives the same bytes."""
    from pydicom.uid import generate_uid

    truth = [str(drawn.seed), str(len(drawn.pixels)), *drawn.names] if drawn else []
    return str(generate_uid(entropy_srcs=["groundviz", what, *truth]))


def _sources() -> str:
    rows = [f"| {s.name}.png | {s.seed} | {', '.join(s.findings) or 'none'} |" for s in SAMPLES]
    first = SAMPLES[0].name
    return f"""# Sample images

All images here are synthetic: drawn by a program, of nobody. They come with the package's licence.
Patient right is image left, and an "R" marks it.

Made by `{COMMAND}`, {SIZE} by {SIZE} pixels,
from seeds that the demo model was not trained on:

| file | seed | findings |
|---|---|---|
{chr(10).join(rows)}

`{first}_16bit.png` and `{first}.dcm` (12-bit MONOCHROME2) show the phantom of `{first}.png`.
`masks/` holds the truth: 255 inside a finding, 0 outside.
"""


if __name__ == "__main__":
    main()
