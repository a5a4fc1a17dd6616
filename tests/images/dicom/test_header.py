"""What a header says about layout, shades, spacing and dangers."""

from __future__ import annotations

from typing import Any

import pytest

from groundviz.errors import ImageError
from groundviz.images.dicom.fields import Fields
from groundviz.images.dicom.header import cautions, spacing_of
from groundviz.images.dicom.layout import Layout
from groundviz.images.dicom.shades import Shades

pydicom = pytest.importorskip("pydicom")
# Building a header with an invalid value already warns.
pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR")

PLAIN: dict[str, Any] = {
    "Rows": 4,
    "Columns": 6,
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "BitsAllocated": 16,
    "BitsStored": 12,
    "PixelRepresentation": 0,
}


def fields(**changes: Any) -> Fields:
    dataset = pydicom.Dataset()
    for keyword, value in (PLAIN | changes).items():
        if value is not None:
            setattr(dataset, keyword, value)
    return Fields(dataset, little=True)


def warned(header: Fields) -> tuple[str, ...]:
    return cautions(header, Layout.of(header, None))


def shades(**changes: Any) -> Shades:
    header = fields(**changes)
    return Shades.of(header, Layout.of(header, None))


def test_layout() -> None:
    layout = Layout.of(fields(NumberOfFrames=5), 3)
    assert (layout.rows, layout.cols, layout.frames, layout.index) == (4, 6, 5, 3)
    assert (layout.bits_allocated, layout.bits_stored, layout.signed) == (16, 12, False)
    assert (layout.is_grey, layout.is_inverted, layout.is_indexed) == (True, False, False)
    assert layout.notes == ("Frame 3 of 5 is shown (counting from 0).",)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"Rows": None, "Columns": None}, "holds no image"),
        ({"Rows": 0}, "0 rows by 6 columns"),
        ({"Rows": 9000, "Columns": 9000}, "too large"),
        ({"NumberOfFrames": 2_000_000_000}, "holds 2000000000 frames"),
        ({"BitsAllocated": None}, "lacks BitsAllocated"),
        ({"BitsStored": 17}, "17 bits in 16"),
        ({"BitsStored": 0}, "0 bits in 16"),
        ({"BitsAllocated": 128, "BitsStored": 128}, "128 bits in 128"),
        ({"PhotometricInterpretation": "ZZPHI"}, "of a kind that is not read"),
        ({"PhotometricInterpretation": None}, "of a kind that is not read"),
        ({"PhotometricInterpretation": "RGB"}, "contradict"),
        ({"SamplesPerPixel": 3}, "contradict"),
        ({"Rows": 8000, "Columns": 8000, "BitsAllocated": 64}, "takes 512 MB"),
    ],
)
def test_layouts_that_are_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ImageError, match=says) as caught:
        Layout.of(fields(**changes), None)
    assert "ZZPHI" not in str(caught.value)


def test_plain_shades() -> None:
    found = shades()
    assert found.is_plain
    assert (found.window, found.voi, found.modality, found.padding, found.notes) == (
        None,
        None,
        None,
        None,
        (),
    )


@pytest.mark.parametrize(
    "changes",
    [{"RescaleSlope": 0}, {"RescaleSlope": "nan"}, {"RescaleSlope": "inf"}, {"RescaleIntercept": "nan"}],
)
def test_rescaling_that_makes_no_sense(changes: dict[str, Any]) -> None:
    with pytest.raises(ImageError, match="rescaling makes no sense"):
        shades(**changes)


def test_the_first_of_several_windows() -> None:
    found = shades(WindowCenter=[40, 600], WindowWidth=[400, 1600], VOILUTFunction="SIGMOID")
    assert found.window is not None
    assert (found.window.pair, found.window.function) == ((40.0, 400.0), "SIGMOID")
    assert found.notes == ("The file offers several windows; the first usable one is used.",)


@pytest.mark.parametrize("window", [(40, 0), (40, -1), (40, 0.5), ("nan", 5), (40, None), (None, 5)])
def test_a_window_that_cannot_be_used_is_left_out_with_a_note(window: tuple[Any, Any]) -> None:
    found = shades(WindowCenter=window[0], WindowWidth=window[1])
    assert found.window is None
    assert found.notes == ("The window in the file cannot be used.",)


def test_unknown_function_is_linear() -> None:
    assert shades(VOILUTFunction="ZZPHI").function == "LINEAR"


@pytest.mark.parametrize(
    ("changes", "padding"),
    [
        ({"PixelPaddingValue": 0}, (0.0, 0.0)),
        ({"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 10}, (0.0, 10.0)),
        ({"PixelPaddingValue": -2000, "PixelRepresentation": 1}, (-2000.0, -2000.0)),
        ({"PixelPaddingValue": 63536, "PixelRepresentation": 1}, (-2000.0, -2000.0)),
    ],
)
def test_padding(changes: dict[str, Any], padding: tuple[float, float]) -> None:
    dataset = fields(**{k: v for k, v in changes.items() if not k.startswith("PixelPadding")})
    for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit"):
        if keyword in changes:
            dataset._dataset.add_new(keyword, "SS" if changes[keyword] < 0 else "US", changes[keyword])
    assert Shades.of(dataset, Layout.of(dataset, None)).padding == padding


@pytest.mark.parametrize(
    ("changes", "spacing", "noted"),
    [
        ({}, None, ""),
        ({"PixelSpacing": [0.5, 0.25]}, (0.5, 0.25), ""),
        ({"ImagerPixelSpacing": [0.5, 0.25]}, (0.5, 0.25), "detector"),
        ({"PixelSpacing": [0.5, 0.25], "ImagerPixelSpacing": [9, 9]}, (0.5, 0.25), ""),
        ({"PixelSpacing": [0, 0.25]}, None, "cannot be used"),
        ({"PixelSpacing": ["nan", 1]}, None, "cannot be used"),
        ({"PixelSpacing": 1}, None, "cannot be used"),
    ],
)
def test_spacing(changes: dict[str, Any], spacing: tuple[float, float] | None, noted: str) -> None:
    header = fields(**changes)
    found, element, notes = spacing_of(header, Layout.of(header, None))
    assert found == spacing
    assert element == (next(iter(changes)) if spacing else "")
    assert len(notes) == bool(noted)
    assert noted in "".join(notes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"BurnedInAnnotation": "NO", "Modality": "CT"}, ""),
        ({"BurnedInAnnotation": "YES"}, "says that its pixels show"),
        ({"BurnedInAnnotation": "YES", "Modality": "US"}, "says that its pixels show"),
        ({}, "does not rule out"),
        ({"BurnedInAnnotation": "ZZPHI"}, "does not rule out"),
        ({"BurnedInAnnotation": "NO", "Modality": "US"}, "ultrasound and screen captures"),
        ({"BurnedInAnnotation": "NO", "ConversionType": "WSD"}, "ultrasound and screen captures"),
        ({"BurnedInAnnotation": "NO", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7.2"}, "ultrasound and screen"),
    ],
)
def test_burned_in_text(changes: dict[str, Any], says: str) -> None:
    notes = warned(fields(**changes))
    assert len(notes) == bool(says)
    assert says in "".join(notes)
    assert "ZZPHI" not in "".join(notes)


def test_overlays_and_profiles() -> None:
    header = fields(BurnedInAnnotation="NO", ICCProfile=b"ZZPHI!")
    header._dataset.add_new(0x60000010, "US", 4)
    assert [note.split(",")[0] for note in warned(header)] == [
        "The file brings overlay graphics",
        "Its colour profile (ICC) was not applied; colours are read as sRGB.",
    ]
