"""Slices that belong together: their order in space, which of them are read, and what is refused or noted."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from groundviz import images
from groundviz.errors import ImageError
from groundviz.images.dicom import decoding
from groundviz.images.stack import MOST_SLICES
from groundviz.record.types import Slice

pydicom = pytest.importorskip("pydicom")
AXIAL = [1, 0, 0, 0, 1, 0]
SERIES, OTHER = "1.2.826.0.1.31415926.1", "1.2.826.0.1.31415926.2"


def pixels(level: int) -> np.ndarray:
    return np.full((4, 6), level, np.int16) + np.arange(6, dtype=np.int16)


@pytest.fixture
def make_series(make_dicom: Any, tmp_path: Path) -> Any:
    """make_series(heights, **elements): a folder with a slice at each height, of a level of its own."""

    def make(heights: Any, *, folder: str = "series", names: Any = None, **elements: Any) -> Path:
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        for number, height in enumerate(heights):
            facts = {
                "Modality": "CT",
                "RescaleSlope": 1,
                "RescaleIntercept": -1000,
                "WindowCenter": 0,
                "WindowWidth": 400,
                "SeriesInstanceUID": SERIES,
                "ImageOrientationPatient": AXIAL,
                "ImagePositionPatient": None if height is None else [-10, -20, height],
                "InstanceNumber": number + 1,
                **elements,
            }
            path = make_dicom(pixels(1000 + 10 * sorted(heights, key=str).index(height)), **facts)
            shutil.move(path, place / (names[number] if names else f"{len(list(place.iterdir()))}.dcm"))
        return place

    return make


def levels(found: Any) -> list[float]:
    return [round(float(one.stored.low)) for one in found]


def test_a_folder_is_read_from_feet_to_head_whatever_its_files_are_called(make_series: Any) -> None:
    folder = make_series([30.0, 10.0, 20.0, 40.0], names=["a", "c.dcm", "z", "b"])
    found = images.load_stack(folder)
    assert [one.position_mm for one in found] == [10.0, 20.0, 30.0, 40.0]
    assert {one.towards for one in found} == {"H"}
    assert levels(found) == [0, 10, 20, 30]
    assert [one.slice for one in found] == [Slice(stack=0, number=number, of=4) for number in range(4)]
    assert not any("spaced" in note for one in found for note in one.notes)
    # Rows that run the other way turn the slices around, not their order.
    assert images.load_each(str(folder))[0].position_mm == 10.0


def test_a_plane_that_is_turned_over_keeps_its_direction(make_series: Any) -> None:
    flipped = make_series([10.0, 20.0], ImageOrientationPatient=[1, 0, 0, 0, -1, 0])
    found = images.load_stack(flipped)
    assert [(one.position_mm, one.towards) for one in found] == [(10.0, "H"), (20.0, "H")]


def test_only_the_chosen_slices_are_decoded(make_series: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    real = decoding.decoded
    monkeypatch.setattr(decoding, "decoded", lambda *given: read.append(1) or real(*given))
    folder = make_series([float(height) for height in range(0, 50, 5)])
    found = images.load_stack(folder, frames=[7, 2])
    assert len(read) == 2
    assert [(one.slice.number, one.position_mm) for one in found] == [(7, 35.0), (2, 10.0)]


def test_frames_of_a_file_are_chosen_with_their_own_positions(make_dicom: Any) -> None:
    def placed(height: float) -> Any:
        position, item = pydicom.Dataset(), pydicom.Dataset()
        position.ImagePositionPatient = [0, 0, height]
        item.PlanePositionSequence = [position]
        return item

    plane, shared = pydicom.Dataset(), pydicom.Dataset()
    plane.ImageOrientationPatient = AXIAL
    shared.PlaneOrientationSequence = [plane]
    volume = np.arange(5, dtype=np.uint8)[:, None, None] * 40 + np.zeros((5, 3, 4), np.uint8)
    path = make_dicom(
        volume,
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=[placed(height) for height in (0, -4, -8, -16, -20)],
    )
    found = images.load_stack(path, frames=range(1, 4))
    assert [(one.slice.number, one.slice.of, one.position_mm) for one in found] == [
        (1, 5, -4.0),
        (2, 5, -8.0),
        (3, 5, -16.0),
    ]
    assert [round(255 * one.pixels[0, 0]) for one in found] == [40, 80, 120]
    assert any("8 mm between slices 3 and 4, where" in note for note in found[0].notes)
    # One position in the header is not that of each frame.
    flat = make_dicom(volume, ImageOrientationPatient=AXIAL, ImagePositionPatient=[0, 0, 5])
    assert [one.position_mm for one in images.load_stack(flat)] == [None] * 5


def test_volumes_lists_and_pages_are_stacks(tmp_path: Path) -> None:
    volume = np.arange(3, dtype=np.uint8)[:, None, None] * 100 + np.zeros((3, 4, 5), np.uint8)
    pages = [Image.fromarray(one) for one in volume]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    for source in (volume, list(volume), tmp_path / "pages.tif", (tmp_path / "pages.tif").read_bytes()):
        found = images.load_stack(source, frames=[2, 0])
        assert [round(255 * one.pixels[0, 0]) for one in found] == [200, 0]
        assert [one.slice.number for one in found] == [2, 0]
    assert len(images.load_stack(np.zeros((2, 4, 5, 3), np.uint8))) == 2


def test_a_list_within_the_list_is_a_stack_and_stacks_are_numbered(make_series: Any) -> None:
    now, before = make_series([0.0, 5.0]), make_series([0.0, 5.0, 10.0], folder="before")
    single = pixels(0).astype(np.uint8)
    found = images.load_each([now, single, before, [single, single]], frames=[None, None, [2, 0], None])
    assert [one.slice and (one.slice.stack, one.slice.number) for one in found] == [
        *((0, 0), (0, 1), None, (1, 2), (1, 0), (2, 0), (2, 1))
    ]
    # As `load_stack` returned them: flat for one stack, in lists for several.
    one = images.load_stack(now)
    assert [each.slice.stack for each in images.load_each(one)] == [0, 0]
    assert [each.slice.stack for each in images.load_each([one, images.load_stack(before)])] == [
        0,
        0,
        1,
        1,
        1,
    ]
    with pytest.raises(ImageError, match="a list for each stack"):
        images.load_each([*one, *images.load_stack(before)])


def test_gaps_are_noted_on_the_slices_that_are_there(make_series: Any) -> None:
    folder = make_series([0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 32.0])
    (note,) = (note for note in images.load_stack(folder, frames=[0])[0].notes if "spaced" in note)
    assert note.startswith("Slices are unevenly spaced: 7 mm between slices 6 and 7, where 5 mm are usual")


def test_windows_that_differ_between_slices_are_noted(make_series: Any) -> None:
    folder = make_series([0.0])
    make_series([5.0], WindowCenter=50)
    apart = "Slices of this stack were read with different windows"
    assert any(note.startswith(apart) for note in images.load_stack(folder)[1].notes)
    given = images.load_stack(folder, window=(40, 400))
    assert not any(note.startswith(apart) for note in given[1].notes)
    assert [one.window for one in given] == [(40.0, 400.0)] * 2


def test_folders_that_are_not_one_whole_series_are_refused(make_series: Any, tmp_path: Path) -> None:
    two = make_series([0.0, 5.0], folder="two")
    make_series([0.0, 5.0, 10.0], folder="two", SeriesInstanceUID=OTHER)
    hole = make_series([0.0, 5.0, 10.0, 20.0, 25.0, 30.0], folder="hole")
    tilted = make_series([0.0, 5.0], folder="tilted")
    make_series([10.0], folder="tilted", ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
    phases = make_series([0.0, 5.0, 5.0], folder="phases")
    unordered = make_series([None, None], folder="unordered", InstanceNumber=1)
    broken = make_series([0.0, 5.0], folder="broken")
    (broken / "9.dcm").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    for folder, says in (
        (two, "holds 2 series, of 2, 3 images|holds 2 series, of 3, 2 images"),
        (hole, "lacks 1 slice: 10 mm lie between slices 3 and 4 of 6, where 5 mm are usual"),
        (tilted, "not parallel"),
        (phases, "1 of 3 slices lie where another one does"),
        (unordered, "have no order"),
        (broken, "One of the 3 files in the folder: The image file is empty"),
        (tmp_path / "empty", "holds no DICOM series, and folders in it are not opened"),
    ):
        with pytest.raises(ImageError, match=says) as caught:
            images.load_stack(folder)
        assert not any(told in str(caught.value) for told in ("31415926", str(tmp_path), ".dcm"))
        assert caught.value.__context__ is None
    # Given as a list, it is the caller's own choice.
    assert len(images.load_stack(sorted(hole.iterdir()))) == 6
    with pytest.raises(ImageError, match="come from 2 series"):
        images.load_stack(sorted(two.iterdir()))


def test_positions_that_are_not_known_leave_the_instance_numbers(make_series: Any) -> None:
    folder = make_series([None] * 3, names=["c", "a", "b"])
    (folder / "report.txt").write_text("not an image")
    notes = images.load_stack(folder)[0].notes
    assert any("order of their Instance Number" in note for note in notes)
    assert any("1 other thing in the folder" in note for note in notes)


@pytest.mark.parametrize(
    ("frames", "says"),
    [
        ([0, 3], r"no slice 3: the stack has 3, from 0 to 2"),
        ([-1], "no slice -1"),
        ([1, 1], "names a slice twice"),
        ([], "names no slice"),
        (1, "'int' is none"),
        ([0.5], "takes a list of whole numbers"),
    ],
)
def test_frames_that_are_not_there_are_refused(frames: Any, says: str) -> None:
    with pytest.raises(ImageError, match=says):
        images.load_stack(np.zeros((3, 4, 5), np.uint8), frames=frames)


def test_stacks_of_no_one_size_or_of_too_many_slices_are_refused() -> None:
    with pytest.raises(ImageError, match="slice 1 has 5 by 5"):
        images.load_stack([np.zeros((4, 5), np.uint8), np.zeros((5, 5), np.uint8)])
    with pytest.raises(ImageError, match=r"129 slices were chosen.*frames=range\(0, 129, 2\)"):
        images.load_stack(np.zeros((MOST_SLICES + 1, 2, 2), np.uint8))
    for source in ([], np.zeros((4, 5), np.uint8), object()):
        with pytest.raises(ImageError):
            images.load_stack(source)
    with pytest.raises(ImageError, match="frames= alone"):
        images.load_each(np.zeros((3, 4, 5), np.uint8), frame=1, frames=[1])
