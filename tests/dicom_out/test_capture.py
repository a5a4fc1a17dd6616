"""Secondary captures, read back: an image that says what it is, in the exam of its original."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from highdicom import _standard_utils as standard
from pydicom.dataset import Dataset

from groundviz import images
from groundviz.dicom_out import writing
from groundviz.dicom_out.capture import secondary_capture
from groundviz.dicom_out.original import original_of
from groundviz.errors import StoreError, UnknownName
from groundviz.explanation import Explanation
from groundviz.render.figures.capture import captured
from tests.support.originals import COLS, PATIENT, UIDS, content, levels, original, record_of


@pytest.fixture(scope="module")
def file() -> bytes:
    return content(original(PixelSpacing=[0.3, 0.3]))


@pytest.fixture(scope="module")
def explanation(file: bytes) -> Explanation:
    return Explanation(record_of(images.load(file)))


@pytest.fixture(scope="module")
def written(explanation: Explanation, file: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return explanation.to_dicom(tmp_path_factory.mktemp("out") / "map.dcm", file)


@pytest.fixture(scope="module")
def dataset(written: Path) -> Dataset:
    return pydicom.dcmread(written)


def made_of(**elements: Any) -> Dataset:
    """The capture of a small image, for elements that do not depend on it, written and read back."""
    file = content(original(**elements))
    image = images.load(file)
    heatmap = Explanation(record_of(image)).heatmap()
    stream = io.BytesIO()
    made = secondary_capture(np.zeros((4, 6, 3), np.uint8), heatmap, original_of(file, image))
    made.save_as(stream, enforce_file_format=True)
    return pydicom.dcmread(io.BytesIO(stream.getvalue()))


def test_it_is_derived_and_says_of_what_and_how(dataset: Dataset) -> None:
    assert dataset.SOPClassUID == pydicom.uid.SecondaryCaptureImageStorage
    assert list(dataset.ImageType)[:2] == ["DERIVED", "SECONDARY"]
    assert dataset.ConversionType == "SYN"
    says = dataset.DerivationDescription
    assert says.startswith("Derived, not an original image: where the model looked. Attention for “nodule in")
    assert dataset.SeriesDescription == "Attention: where the model looked"
    (source,) = dataset.SourceImageSequence
    assert source.ReferencedSOPClassUID == UIDS["SOPClassUID"]
    assert source.ReferencedSOPInstanceUID == UIDS["SOPInstanceUID"]
    assert source.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
    assert "ReferencedFrameNumber" not in source
    # Whoever measured on it would measure letters, too.
    assert "PixelSpacing" not in dataset


def test_it_is_of_the_same_patient_and_exam_in_a_series_of_its_own(dataset: Dataset) -> None:
    assert {keyword: str(dataset[keyword].value) for keyword in PATIENT} == PATIENT
    assert dataset.StudyInstanceUID == UIDS["StudyInstanceUID"]
    own = {dataset.SOPInstanceUID, dataset.SeriesInstanceUID}
    assert len(own) == 2 and not own & set(UIDS.values())
    assert list(dataset.PatientOrientation) == ["L", "F"]


def test_its_pixels_are_what_was_drawn_and_load_as_an_image(
    dataset: Dataset, explanation: Explanation
) -> None:
    drawn = captured(explanation.record, explanation.heatmap())
    np.testing.assert_array_equal(dataset.pixel_array, drawn)
    stream = io.BytesIO()
    dataset.save_as(stream)
    shown = images.load(stream.getvalue())
    np.testing.assert_allclose(shown.pixels, drawn / 255.0, atol=1e-6)


def test_it_holds_the_map_where_the_image_has_it(explanation: Explanation) -> None:
    heatmap = explanation.heatmap()
    drawn = captured(explanation.record, heatmap).astype(int)
    # Black but for the image, the bar of colours and letters.
    assert (drawn[[0, -1]] == 0).all() and (drawn[:, [0, -1]] == 0).all()
    margin, wide = 12, 1200
    assert abs(drawn.shape[1] - (wide + 2 * margin)) <= 2
    yellow = (drawn[..., 0] > 200) & (drawn[..., 1] > 160) & (drawn[..., 2] < 90)
    across = np.flatnonzero(yellow[np.flatnonzero(yellow.any(axis=1))[0]])
    _, col = np.unravel_index(np.nanargmax(heatmap.values), heatmap.shape)
    left, cell = heatmap.grid.to_source[1, 2], heatmap.grid.to_source[1, 1]
    edges = margin + (left + cell * np.array([col, col + 1.0])) * wide / COLS
    # The cell is outlined, half of the line within it.
    assert np.abs(edges - (across[0], across[-1] + 1)).max() <= 5


@pytest.mark.parametrize("stated", ["YES", "NO", None])
def test_it_says_of_burned_in_text_what_the_original_says(stated: str | None) -> None:
    assert made_of(BurnedInAnnotation=stated).get("BurnedInAnnotation") == stated


def test_what_was_lost_stays_lost() -> None:
    lossy = {"LossyImageCompression": "01", "LossyImageCompressionRatio": "12.5"}
    made = made_of(**lossy, LossyImageCompressionMethod="ISO_10918_1")
    assert (made.LossyImageCompression, float(made.LossyImageCompressionRatio)) == ("01", 12.5)


@pytest.mark.parametrize(
    ("characters", "name"),
    [
        ("ISO_IR 100", "Müller^Jürgen"),
        ("ISO_IR 144", "Люкceмбypг"),  # noqa: RUF001
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("ISO_IR 192", "Wang^XiaoDong=王^小东"),
        (None, "Buc^Jerome"),
    ],
)
def test_names_of_any_character_set_come_back(characters: Any, name: str) -> None:
    made = made_of(SpecificCharacterSet=characters, PatientName=name)
    assert made.SpecificCharacterSet == "ISO_IR 192"
    assert str(made.PatientName) == name


def test_what_the_original_does_not_know_is_empty() -> None:
    made = made_of(**dict.fromkeys(PATIENT, None), PatientOrientation=None)
    assert all(not made[keyword].value for keyword in PATIENT if keyword != "StudyDescription")
    assert not made.PatientOrientation and "StudyDescription" not in made
    assert made_of(PatientOrientation=["LP", "FA"]).PatientOrientation == ["LP", "FA"]


def test_a_side_and_a_frame_are_told() -> None:
    assert made_of(ImageLaterality="R").Laterality == "R"
    assert "Laterality" not in made_of(ImageLaterality="B")
    file = content(original(np.stack([levels(), levels()[::-1]])))
    image = images.load(file, frame=1)
    made = secondary_capture(
        np.zeros((4, 6, 3), np.uint8), Explanation(record_of(image)).heatmap(), original_of(file, image, 1)
    )
    assert made.SourceImageSequence[0].ReferencedFrameNumber == 2


@pytest.mark.parametrize("suffix", writing.FORMATS)
def test_it_has_all_that_its_kind_must_have(
    suffix: str, explanation: Explanation, file: bytes, written: Path, tmp_path: Path
) -> None:
    """By the tables of the standard that highdicom brings: mandatory modules, elements of type 1 and 2."""
    place = written
    if suffix == ".gsps.dcm":
        place = explanation.to_dicom(tmp_path / "map.gsps.dcm", file)
    dataset = pydicom.dcmread(place)
    kind = standard.get_sop_class_iod_map()[dataset.SOPClassUID]
    modules = [one["key"] for one in standard.get_iod_module_map()[kind] if one["usage"] == "M"]
    assert len(modules) > 5
    for module in modules:
        for element in standard.get_module_attribute_map()[module]:
            if not element["path"] and element["type"] in ("1", "2"):
                assert element["keyword"] in dataset
                assert element["type"] == "2" or not dataset[element["keyword"]].is_empty


def test_a_file_is_written_whole_or_not_at_all(explanation: Explanation, file: bytes, tmp_path: Path) -> None:
    place = tmp_path / "map.gsps.dcm"
    place.write_text("mine")
    with pytest.raises(StoreError, match="A file of that name exists"):
        explanation.to_dicom(place, file)
    assert place.read_text() == "mine"
    explanation.to_dicom(place, file, overwrite=True)
    assert pydicom.dcmread(place).Modality == "PR"
    with pytest.raises(UnknownName, match=r"End it with one of these: \.dcm"):
        explanation.to_dicom(tmp_path / "map.dicom", file)
    assert [path.name for path in tmp_path.iterdir()] == ["map.gsps.dcm"]


@pytest.mark.parametrize("suffix", writing.FORMATS)
def test_the_original_is_never_written_over(
    explanation: Explanation, file: bytes, tmp_path: Path, suffix: str
) -> None:
    place, link = tmp_path / f"scan{suffix}", tmp_path / f"link{suffix}"
    place.write_bytes(file)
    link.hardlink_to(place)
    (tmp_path / "in").mkdir()
    around = tmp_path / "in" / ".." / place.name
    with place.open("rb") as stream:
        for given in (place, str(place), around, link, stream, pydicom.dcmread(place)):
            with pytest.raises(StoreError, match="The original lies in that place"):
                explanation.to_dicom(place, given, overwrite=True)
    assert place.read_bytes() == file
    # Its content alone lies nowhere.
    explanation.to_dicom(place, file, overwrite=True)
