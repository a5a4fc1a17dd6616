"""Header access: listed elements only, bounded, as numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from groundviz.errors import ImageError
from groundviz.images.dicom.fields import KEYWORDS, OVERLAY_TAGS, Fields

pydicom = pytest.importorskip("pydicom")
# Building a header with an invalid value already warns.
pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR")


def fields(*, little: bool = True, **elements: Any) -> Fields:
    dataset = pydicom.Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return Fields(dataset, little=little)


def raw(keyword: str, vr: str, value: bytes) -> Fields:
    """An element as it comes from a file, not yet converted."""
    tag = pydicom.tag.Tag(keyword)
    element = pydicom.dataelem.RawDataElement(tag, vr, len(value), value, 0, False, True)
    return Fields(pydicom.Dataset({tag: element}), little=True)


def items(*datasets: dict[str, Any]) -> Any:
    return pydicom.Sequence([fields(**one)._dataset for one in datasets])


def test_the_list_holds_no_identity() -> None:
    from pydicom.datadict import dictionary_VR

    assert {dictionary_VR(keyword) for keyword in KEYWORDS}.isdisjoint(
        {"PN", "DA", "DT", "TM", "LO", "LT", "ST", "UT", "AE"}
    )
    assert [keyword for keyword in KEYWORDS if dictionary_VR(keyword) == "UI"] == ["SOPClassUID"]


def test_what_identifies_a_series_comes_out_as_a_hash_alone() -> None:
    one, same = fields(SeriesInstanceUID="1.2.3"), raw("SeriesInstanceUID", "UI", b"1.2.3\0")
    assert one.digest("SeriesInstanceUID") == same.digest("SeriesInstanceUID")
    assert one.digest("SeriesInstanceUID") != fields(SeriesInstanceUID="1.2.4").digest("SeriesInstanceUID")
    for ask in (one.value, one.text):
        with pytest.raises(KeyError):
            ask("SeriesInstanceUID")
    with pytest.raises(KeyError):
        one.digest("PatientID")


@pytest.mark.parametrize("keyword", ["PatientName", "StudyInstanceUID", "PatientID", "StudyDate"])
def test_what_is_not_listed_cannot_be_asked_for(keyword: str) -> None:
    with pytest.raises(KeyError):
        fields(PatientName="ZZPHI").value(keyword)


def test_numbers() -> None:
    header = fields(Rows=7, WindowCenter=["40", "600.5"], RescaleSlope=None)
    assert header.numbers("Rows") == (7.0,)
    assert header.numbers("WindowCenter") == (40.0, 600.5)
    assert header.numbers("RescaleSlope") == header.numbers("WindowWidth") == ()
    assert header.number("RescaleSlope", 1.0) == 1.0


def test_a_number_that_is_needed() -> None:
    with pytest.raises(ImageError, match="lacks BitsAllocated"):
        fields().number("BitsAllocated")


@pytest.mark.parametrize(("vr", "value"), [("LO", b"ZZPHI "), ("OB", b"\1\2\3\4")])
def test_what_is_no_number(vr: str, value: bytes) -> None:
    with pytest.raises(ImageError, match=r"RescaleSlope in the DICOM header is not a number") as caught:
        raw("RescaleSlope", vr, value).numbers("RescaleSlope")
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("keyword", "vr", "limit"),
    [("WindowCenter", "DS", 4096), ("LUTData", "OW", 131074)],
)
def test_values_are_bounded_before_they_are_converted(keyword: str, vr: str, limit: int) -> None:
    with pytest.raises(ImageError, match=f"too long: {limit + 2} bytes, where at most {limit}"):
        raw(keyword, vr, bytes(limit + 2)).value(keyword)


def test_text_is_for_comparing() -> None:
    assert fields(PhotometricInterpretation="rgb ").text("PhotometricInterpretation") == "RGB"
    assert fields().text("Modality") == ""


def test_items_and_their_absence() -> None:
    header = fields(VOILUTSequence=items({"WindowCenter": 1}, {"WindowCenter": 2}))
    second = header.item("VOILUTSequence", 1)
    assert second is not None
    assert second.number("WindowCenter") == 2.0
    assert header.item("VOILUTSequence", 2) is None
    assert header.item("ModalityLUTSequence") is None


def test_a_frames_own_facts_win_over_shared_and_common_ones() -> None:
    def group(intercept: int) -> dict[str, Any]:
        return {"PixelValueTransformationSequence": items({"RescaleIntercept": intercept})}

    header = fields(
        RescaleIntercept=1,
        SharedFunctionalGroupsSequence=items(group(2)),
        PerFrameFunctionalGroupsSequence=items({}, group(3)),
    )
    assert [
        header.macro("PixelValueTransformationSequence", frame).number("RescaleIntercept")
        for frame in (0, 1, 9)
    ] == [2, 3, 2]
    assert header.macro("FrameVOILUTSequence", 0) is header


def test_overlays_are_seen() -> None:
    dataset = pydicom.Dataset()
    assert not Fields(dataset, little=True).has_overlay()
    dataset.add_new(OVERLAY_TAGS[3], "US", 5)
    assert Fields(dataset, little=True).has_overlay()
    assert [hex(tag) for tag in (OVERLAY_TAGS[0], OVERLAY_TAGS[-1])] == ["0x60000010", "0x601e0010"]


WORDS = np.array([0, 100, 4095], np.uint16)


@pytest.mark.parametrize(
    ("data", "little", "bits", "expected"),
    [
        (WORDS.tolist(), True, 12, [0, 100, 4095]),
        (WORDS.astype("<u2").tobytes(), True, 12, [0, 100, 4095]),
        (WORDS.astype(">u2").tobytes(), False, 12, [0, 100, 4095]),
        (b"\x00\x64\xff\x00", True, 8, [0, 100, 255]),
    ],
)
def test_tables_in_every_storage(data: Any, little: bool, bits: int, expected: list[int]) -> None:
    header = fields(little=little, LUTDescriptor=[3, 65534, bits])
    header._dataset.add_new("LUTData", "OW" if isinstance(data, bytes) else "US", data)
    table = header.table("LUTDescriptor", "LUTData", negative=True)
    assert (table.first, table.values.tolist(), table.top) == (-2, expected, 2.0**bits - 1)
    assert header.table("LUTDescriptor", "LUTData", negative=False).first == 65534


def test_a_table_may_have_65536_entries_and_more_bits_than_it_says() -> None:
    header = fields(LUTDescriptor=[0, 0, 8])
    header._dataset.add_new("LUTData", "OW", np.arange(65536, dtype="<u2").tobytes())
    table = header.table("LUTDescriptor", "LUTData", negative=False)
    assert (len(table.values), table.top) == (65536, 65535.0)


@pytest.mark.parametrize("descriptor", [None, [3, 0], [3, 0, 0], [3, 0, 17]])
def test_damaged_descriptors(descriptor: list[int] | None) -> None:
    header = fields() if descriptor is None else fields(LUTDescriptor=descriptor)
    with pytest.raises(ImageError, match="lookup table of the DICOM is damaged"):
        header.table("LUTDescriptor", "LUTData", negative=False)


def test_a_table_cut_short() -> None:
    header = fields(LUTDescriptor=[300, 0, 16])
    header._dataset.add_new("LUTData", "OW", bytes(400))
    with pytest.raises(ImageError, match="cut short"):
        header.table("LUTDescriptor", "LUTData", negative=False)


def test_a_segmented_table() -> None:
    header = fields(RedPaletteColorLookupTableDescriptor=[4, 0, 16])
    words = np.array([0, 1, 0, 1, 3, 30000], "<u2")
    header._dataset.SegmentedRedPaletteColorLookupTableData = words.tobytes()
    table = header.table(
        "RedPaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData", negative=False
    )
    assert table.values.tolist() == [0, 10000, 20000, 30000]
