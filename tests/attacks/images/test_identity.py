"""Canaries in every place that can hold a name, a date or an identifier; none may come out.

What can come out of loading: the SourceImage, an exception with all it drags along, warnings, log
records, and what is written to stdout or stderr. All are searched, in several encodings.
"""

from __future__ import annotations

import base64
import io
import logging
import pickle
import traceback
import warnings
from collections.abc import Callable
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from groundviz import images
from groundviz.errors import ImageError
from groundviz.record.types import SourceImage

pydicom = pytest.importorskip("pydicom")

TEXT = "ZZPHI"
# Dates, times and identifiers have a form to keep; these values occur nowhere else.
DATE, TIME, UID, DIGITS = "19011213", "031415.926535", "1.2.826.0.1.31415926.5358979", "3141592653"
CANARIES = (TEXT, DATE, TIME, UID, DIGITS)
BY_TYPE = {
    "DA": DATE,
    "TM": TIME,
    "DT": DATE + "031415",
    "UI": UID,
    "IS": DIGITS,
    "AS": "031Y",
    "DS": "3.14159265358979",
}
TEXTUAL = {"PN", "LO", "SH", "LT", "ST", "UT", "UC", "UR", "AE", "CS"}

# Elements whose value makes the image; everything else in the file becomes a canary.
KEPT = {
    "SOPClassUID",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelSpacing",
    "RescaleSlope",
    "RescaleIntercept",
    "PixelPaddingValue",
    "SmallestImagePixelValue",
    "LargestImagePixelValue",
}


def canary_dicom() -> tuple[Any, int]:
    """CT_small with a canary in every element that can take one, and their number."""
    dataset = pydicom.dcmread(pydicom.data.get_testdata_file("CT_small.dcm", download=False))
    count = 0

    def plant(elements: Any) -> None:
        nonlocal count
        for element in elements:
            if element.VR == "SQ":
                for item in element.value:
                    plant(item)
            elif element.keyword not in KEPT and (element.VR in TEXTUAL or element.VR in BY_TYPE):
                element.value = BY_TYPE.get(element.VR, f"{TEXT}{count}")
                count += 1

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for keyword in (
            "PatientAddress",
            "PatientBirthName",
            "OtherPatientIDs",
            "ImageComments",
            "PatientBirthDate",
        ):
            setattr(dataset, keyword, "x")
        dataset.SpecificCharacterSet = "ISO_IR 100"
        plant(element for element in dataset if element.keyword != "SpecificCharacterSet")
        private = dataset.private_block(0x0099, f"{TEXT} maker", create=True)
        private.add_new(1, "LO", f"{TEXT} private")
        dataset.file_meta.SourceApplicationEntityTitle = TEXT
        dataset.file_meta.ImplementationVersionName = TEXT
        dataset.file_meta.MediaStorageSOPInstanceUID = UID
        dataset.preamble = (TEXT * 26)[:128].encode()
    return dataset, count + 6


def to_bytes(dataset: Any) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(stream)
    return stream.getvalue()


def canary_raster(kind: str) -> bytes:
    exif = Image.Exif()
    for tag in (0x010E, 0x013B, 0x0131, 0x8298, 0x9286):
        exif[tag] = f"{TEXT} {tag}"
    exif[0x0132] = DATE
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    options: dict[str, Any] = {"exif": exif, "icc_profile": profile.tobytes().replace(b"sRGB", b"ZZPH")}
    if kind == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_text("Patient", TEXT)
        text.add_itxt("Name", TEXT, lang=TEXT, tkey=TEXT, zip=True)
        options["pnginfo"] = text
    if kind == "JPEG":
        options |= {"comment": TEXT, "xmp": f"<x>{TEXT}</x>".encode()}
    if kind == "WEBP":
        options["xmp"] = f"<x>{TEXT}</x>"
    if kind == "TIFF":
        options = {"tiffinfo": {270: TEXT, 315: TEXT, 306: DATE, 65000: TEXT}, "compression": "tiff_lzw"}
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (24, 31, 3), dtype=np.uint8)
    Image.fromarray(noise).save(stream, kind, **options)
    return stream.getvalue()


def found_in(content: bytes) -> list[str]:
    """Which canaries stand in some bytes, as text of any width or in base 64."""
    hits = []
    for canary in CANARIES:
        shapes = [canary.encode("utf-8"), canary.encode("utf-16-le"), canary.encode("utf-16-be")]
        shapes += [in_base_64(canary.encode(), shift) for shift in range(3)]
        hits += [canary] if any(shape in content for shape in shapes) else []
    return hits


def in_base_64(canary: bytes, shift: int) -> bytes:
    """The characters that a canary makes in base 64, whatever stands before and after it."""
    encoded = base64.b64encode(b"\0" * shift + canary + b"\0\0")
    return encoded[-(-8 * shift // 6) : 8 * (shift + len(canary)) // 6]


def everything_in(error: BaseException, *, through_locals: bool) -> str:
    """All that an exception carries: its arguments, its chain, and what a debugger would print."""
    texts = [repr(error), str(error), repr(error.args), repr(getattr(error, "__notes__", None))]
    texts += [repr(error.__cause__), repr(error.__context__), *traceback.format_exception(error)]
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    # No frame of a decoder, and past the functions that were handed the path, no trace of the file.
    assert {frame.f_globals["__name__"].split(".")[0] for frame in frames} <= {
        __name__.split(".")[0],
        "groundviz",
    }
    if through_locals:
        texts += [
            repr(frame.f_locals) for frame in frames if frame.f_code.co_name in ("contained", "_contained")
        ]
    return "\n".join(texts)


@pytest.fixture
def outlet(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Callable[[Any], str]:
    """Loads a file's content, or a data set, and fails on a canary in anything that comes out."""
    folder = tmp_path / f"{TEXT}-folder"
    folder.mkdir()

    def check(source: Any) -> str:
        if isinstance(source, bytes):
            (folder / f"{TEXT}-file.dcm").write_bytes(source)
            source = folder / f"{TEXT}-file.dcm"
        caplog.clear()
        caplog.set_level(logging.DEBUG)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                source_image = images.load(source)
            except ImageError as error:
                outcome, content = (
                    "ImageError",
                    everything_in(error, through_locals=isinstance(source, Path)),
                )
                assert error.__cause__ is None
                assert error.__context__ is None
            else:
                outcome = "SourceImage"
                content = repr(source_image) + pickle.dumps(source_image).decode("latin-1")
        content += caplog.text + "".join(capfd.readouterr())
        content += "".join(str(warning.message) for warning in warned)
        assert not found_in(content.encode("latin-1", "replace"))
        return outcome

    return check


def test_searching_finds_what_is_there() -> None:
    for canary in CANARIES:
        coded = [base64.b64encode(f"{before}{canary}>>".encode()) for before in ("", "<", "<<")]
        for shape in (canary.encode(), canary.encode("utf-16-le"), *coded):
            assert found_in(b"..." + shape + b"...") == [canary]
    assert found_in(bytes(1000)) == []


def test_a_source_image_has_no_place_for_identity() -> None:
    assert {field.name for field in dataclass_fields(SourceImage)} == {
        "pixels",
        "source",
        "raw_range",
        "window",
        "inverted",
        "spacing_mm",
        "spacing_from",
        "stored",
        "edges",
        "laterality",
        "notes",
        "slice",
        "position_mm",
        "towards",
        "sha256",
    }


def test_whole_dicom(outlet: Callable[[Any], str]) -> None:
    dataset, count = canary_dicom()
    content = to_bytes(dataset)
    assert count >= 70
    assert set(found_in(content)) == set(CANARIES)
    assert outlet(content) == "SourceImage"
    assert outlet(dataset) == "SourceImage"


BREAKS: dict[str, tuple[str, str]] = {
    "Rows": ("LO", TEXT),
    "Columns": ("LO", TEXT),
    "BitsAllocated": ("LO", TEXT),
    "BitsStored": ("LO", TEXT),
    "SamplesPerPixel": ("LO", TEXT),
    "PixelRepresentation": ("LO", TEXT),
    "PhotometricInterpretation": ("CS", TEXT),
    "NumberOfFrames": ("IS", TEXT),
    "RescaleSlope": ("DS", TEXT),
    "RescaleIntercept": ("DS", TEXT),
    "WindowCenter": ("DS", TEXT),
    "WindowWidth": ("DS", TEXT),
    "VOILUTFunction": ("CS", TEXT),
    "PixelSpacing": ("DS", TEXT),
    "ImagerPixelSpacing": ("DS", TEXT),
    "Modality": ("CS", TEXT),
    "ConversionType": ("CS", TEXT),
    "BurnedInAnnotation": ("CS", TEXT),
    "SpecificCharacterSet": ("CS", TEXT),
    "SOPClassUID": ("UI", UID),
    "PixelPaddingValue": ("LO", TEXT),
    "PixelPaddingRangeLimit": ("LO", TEXT),
    "ModalityLUTSequence": ("LO", TEXT),
    "VOILUTSequence": ("LO", TEXT),
    "PerFrameFunctionalGroupsSequence": ("LO", TEXT),
    "PatientBirthDate": ("DA", TEXT),
    "StudyTime": ("TM", TEXT),
    "PatientAge": ("AS", TEXT),
    "SeriesNumber": ("IS", TEXT),
}


@pytest.mark.parametrize("keyword", BREAKS)
def test_a_canary_where_a_number_or_code_belongs(outlet: Callable[[Any], str], keyword: str) -> None:
    """Decoders quote what they cannot read."""
    dataset, _ = canary_dicom()
    kind, value = BREAKS[keyword]
    tag = pydicom.tag.Tag(keyword)
    raw = pydicom.dataelem.RawDataElement(tag, kind, len(value), value.encode().ljust(6), 0, False, True)
    if keyword in dataset:
        del dataset[tag]
    dataset._dict[tag] = raw
    outlet(to_bytes(dataset))
    outlet(dataset)


@pytest.mark.parametrize(
    "syntax", [UID, "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5"]
)
def test_pixels_that_are_not_what_the_syntax_says(outlet: Callable[[Any], str], syntax: str) -> None:
    dataset, _ = canary_dicom()
    for pixels, writable in (
        (TEXT.encode() * 100, False),
        (pydicom.encaps.encapsulate([TEXT.encode() * 20]), True),
    ):
        dataset.PixelData = pixels
        dataset["PixelData"].is_undefined_length = "1.2.840.10008.1.2" in syntax
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
        assert outlet(dataset) == "ImageError"
        if writable:
            assert outlet(to_bytes(dataset)) == "ImageError"


def test_cut_dicom(outlet: Callable[[Any], str]) -> None:
    content = to_bytes(canary_dicom()[0])
    outcomes = [outlet(content[:length]) for length in range(1, 5600, 97)]
    assert set(outcomes) == {"ImageError"}


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_rasters(outlet: Callable[[Any], str], kind: str) -> None:
    content = canary_raster(kind)
    assert TEXT in found_in(content)
    assert outlet(content) == "SourceImage"
    assert outlet(Image.open(io.BytesIO(content))) == "SourceImage"
    outcomes = [outlet(content[:length]) for length in range(1, len(content), 151)]
    assert "ImageError" in outcomes


def test_errors_tell_files_apart_by_their_content(tmp_path: Path) -> None:
    import hashlib

    path = tmp_path / TEXT
    path.write_bytes(b"no image at all")
    with pytest.raises(ImageError) as caught:
        images.load(path)
    digits = hashlib.sha256(b"no image at all").hexdigest()[:8]
    assert str(caught.value).endswith(f"(SHA-256 of the content: {digits}...)")


@pytest.mark.parametrize(
    ("changes", "noted"),
    [
        ({"BurnedInAnnotation": "YES"}, True),
        ({"BurnedInAnnotation": "NO"}, False),
        ({}, True),
        ({"BurnedInAnnotation": "NO", "Modality": "US"}, True),
    ],
)
def test_burned_in_text_is_pointed_out(changes: dict[str, str], noted: bool) -> None:
    dataset = pydicom.dcmread(pydicom.data.get_testdata_file("CT_small.dcm", download=False))
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    assert any(note.startswith("Burned-in text") for note in images.load(dataset).notes) == noted
