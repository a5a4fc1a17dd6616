"""Which file counts as the original of an image, and that nothing tells whose it is."""

from __future__ import annotations

import io
import logging
import sys
from typing import Any

import numpy as np
import pydicom
import pytest

from groundviz import images
from groundviz.dicom_out import writing
from groundviz.dicom_out.original import original_of
from groundviz.errors import GroundvizError, ImageError, MissingExtra
from groundviz.explanation import Explanation
from tests.support.originals import PATIENT, UIDS, content, levels, original, record_of


def test_a_file_its_bytes_and_a_data_set_are_the_same_original(tmp_path: Any) -> None:
    file = content(original())
    image = images.load(file)
    path = tmp_path / "ZZ.dcm"
    path.write_bytes(file)
    dataset = pydicom.dcmread(path)
    for source in (path, str(path), file, io.BytesIO(file), path.open("rb"), dataset):
        found = original_of(source, image)
        assert found.dataset.PatientName == PATIENT["PatientName"]
        assert "PixelData" not in found.dataset
        if hasattr(source, "close"):
            source.close()
    assert dataset == pydicom.dcmread(path)


def test_the_window_of_the_explanation_is_kept_apart_from_that_of_the_file() -> None:
    file = content(original())
    assert original_of(file, images.load(file, window=(900, 700))).source_image.window == (900, 700)


def test_a_copy_without_names_leads_to_the_file_with_them() -> None:
    nameless = content(original(**dict.fromkeys(PATIENT, None), SOPInstanceUID="1.2.3.9"))
    assert original_of(content(original()), images.load(nameless)).dataset.PatientID == PATIENT["PatientID"]


def another() -> np.ndarray:
    changed = levels()
    changed[3, 4] += 1
    return changed


def test_an_image_that_differs_in_one_level_of_one_pixel_is_another() -> None:
    image = images.load(content(original()))
    says = r"another image than the one explained, or a copy .* differ by up to 0\.0\d+% of white"
    with pytest.raises(ImageError, match=says):
        original_of(content(original(another())), image)


def test_an_image_of_another_size_is_another() -> None:
    image = images.load(content(original()))
    with pytest.raises(ImageError, match="it has 60 x 83 pixels, expected 60 x 84"):
        original_of(content(original(levels()[:, 1:])), image)


def test_the_frame_that_was_explained_is_the_only_one() -> None:
    file = content(original(np.stack([levels(), another()]), SOPClassUID="1.2.840.10008.5.1.4.1.1.7.3"))
    second = images.load(file, frame=1)
    assert original_of(file, second, 1).number == 2
    with pytest.raises(ImageError, match="another image"):
        original_of(file, second, 0)
    with pytest.raises(ImageError, match="holds 2 frames"):
        original_of(file, second)


def test_what_is_no_dicom_file_is_no_original() -> None:
    image = images.load(levels())
    with pytest.raises(ImageError, match="found 'png', expected 'dicom'"):
        original_of(png(levels()), images.load(png(levels())))
    with pytest.raises(ImageError, match="'ndarray' was given"):
        original_of(levels(), image)


def png(stored: np.ndarray) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(stored).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize("keyword", UIDS)
@pytest.mark.parametrize("value", [None, "ZZ"])
def test_what_nothing_can_refer_to_is_refused(
    keyword: str, value: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = original()
    image = images.load(content(dataset))
    file = content(original(**{keyword: value}))
    with pytest.raises(ImageError, match=f"lacks a valid {keyword}") as caught:
        original_of(file, image)
    assert "ZZ" not in f"{caught.value} {caplog.text}"


# As pydicom, highdicom or DICOM itself would complain of.
ODD = {
    "PatientName": "ZZ" * 100,
    "PatientSex": "ZZ",
    "PatientBirthDate": "ZZ50",
    "StudyDate": "ZZ26",
    "StudyTime": "ZZ10",
    "AccessionNumber": "ZZ" * 20,
}


@pytest.mark.parametrize("suffix", writing.FORMATS)
def test_nothing_that_is_heard_names_the_patient(
    tmp_path: Any, suffix: str, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    caplog.set_level(logging.DEBUG)
    file = content(original(**ODD))
    explanation = Explanation(record_of(images.load(file)))
    heard = ""
    try:
        written = explanation.to_dicom(tmp_path / f"map{suffix}", file)
        with pydicom.config.disable_value_validation():
            assert pydicom.dcmread(written).PatientSex == "ZZ"
    except GroundvizError as error:
        heard = f"{error!r} {error.__cause__!r} {error.__context__!r}"
    assert "ZZ" not in heard + caplog.text
    assert not [one for one in recwarn if "ZZ" in str(one.message)]
    assert "ZZ" not in repr(explanation) + repr(original_of(file, explanation.source_image))


def test_a_record_stays_without_a_name(tmp_path: Any) -> None:
    file = content(original())
    explanation = Explanation(record_of(images.load(file)))
    explanation.save(tmp_path / "before.gvz")
    explanation.to_dicom(tmp_path / "map.gsps.dcm", file)
    explanation.save(tmp_path / "after.gvz")
    after = (tmp_path / "after.gvz").read_bytes()
    assert (tmp_path / "before.gvz").read_bytes() == after
    assert b"ZZ" not in after


def test_without_highdicom_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    file = content(original())
    image = images.load(file)
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(MissingExtra, match=r"pip install \"groundviz\[dicom-out\]\""):
        original_of(file, image)


def test_a_kind_of_image_that_highdicom_does_not_know_can_be_captured(tmp_path: Any) -> None:
    file = content(original(SOPClassUID="1.2.840.10008.5.1.4.1.1.6"))
    explanation = Explanation(record_of(images.load(file)))
    with pytest.raises(ImageError, match="of a rare kind"):
        explanation.to_dicom(tmp_path / "map.gsps.dcm", file)
    assert explanation.to_dicom(tmp_path / "map.dcm", file).is_file()


@pytest.mark.parametrize("suffix", writing.FORMATS)
def test_what_dicom_does_not_define_is_not_copied_from_a_sequence(tmp_path: Any, suffix: str) -> None:
    inner, code = pydicom.Dataset(), pydicom.Dataset()
    inner.private_block(0x0011, "ACME", create=True).add_new(1, "LO", "ZZ-INNER")
    code.CodeMeaning = "names removed"
    code.EquivalentCodeSequence = [inner]
    code.private_block(0x0011, "ACME", create=True).add_new(1, "LO", "ZZ-OUTER")
    code.add_new(0x00081FFF, "LO", "ZZ-UNKNOWN")
    file = content(original(DeidentificationMethodCodeSequence=[code]))
    explanation = Explanation(record_of(images.load(file)))
    place = explanation.to_dicom(tmp_path / f"map{suffix}", file)
    assert pydicom.dcmread(place).DeidentificationMethodCodeSequence[0].CodeMeaning == "names removed"
    for hidden in (b"ZZ-INNER", b"ZZ-OUTER", b"ZZ-UNKNOWN"):
        assert hidden not in place.read_bytes()
        assert hidden in file
