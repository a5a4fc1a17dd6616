"""Presentation states, read back by pydicom: where the lines lie, what they refer to, and the greys."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from matplotlib.path import Path as Polygon
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from groundviz import images
from groundviz.dicom_out import writing
from groundviz.errors import ImageError, TargetError
from groundviz.explanation import Explanation
from groundviz.record.types import Heatmap, Record
from tests.support import records
from tests.support.originals import COLS, PATIENT, ROWS, UIDS, content, levels, original, record_of

Explained = tuple[bytes, Record]


@pytest.fixture
def explained() -> Callable[..., Explained]:
    """explained(stored, window=..., frame=..., **elements): the file of an image, and a record of it."""

    def make(stored: np.ndarray | None = None, **more: Any) -> Explained:
        chosen = {name: more.pop(name) for name in ("window", "frame") if name in more}
        file = content(original(stored, **more))
        return file, record_of(images.load(file, **chosen))

    return make


def state(record: Record, file: bytes, method: str = "attention", **more: Any) -> Dataset:
    """The presentation state of a record's map, written and read back."""
    heatmap = Explanation(record).heatmap(method)
    return state_of(record, heatmap, file, **more)


def state_of(record: Record, heatmap: Heatmap, file: bytes, **more: Any) -> Dataset:
    with tempfile.TemporaryDirectory() as folder:
        written = writing.export(record, heatmap, Path(folder) / "map.gsps.dcm", file, **more)
        return pydicom.dcmread(io.BytesIO(written.read_bytes()))


@pytest.fixture(scope="module")
def file() -> bytes:
    return content(original())


@pytest.fixture(scope="module")
def record(file: bytes) -> Record:
    return record_of(images.load(file))


@pytest.fixture(scope="module")
def written(record: Record, file: bytes) -> Dataset:
    return state(record, file)


def layers(dataset: Dataset) -> dict[str, list[np.ndarray]]:
    """The lines (points, 2) of (column, row) by their layer."""
    found: dict[str, list[np.ndarray]] = {}
    for annotation in dataset.GraphicAnnotationSequence:
        for graphic in annotation.get("GraphicObjectSequence", []):
            points = np.array(graphic.GraphicData, np.float64).reshape(-1, 2)
            assert graphic.NumberOfGraphicPoints == len(points)
            found.setdefault(annotation.GraphicLayer, []).append(points)
    return found


def inside(lines: list[np.ndarray]) -> np.ndarray:
    """The pixels whose centres an odd number of lines surrounds; DICOM's first centre is (0.5, 0.5)."""
    row, col = np.indices((ROWS, COLS)) + 0.5
    centres = np.stack([col.ravel(), row.ravel()], axis=1)
    odd = np.zeros(ROWS * COLS, bool)
    for line in lines:
        odd ^= Polygon(line).contains_points(centres)
    return odd.reshape(ROWS, COLS)


def strongest(heatmap: Heatmap, share: float, sign: float = 1.0) -> np.ndarray:
    """The pixels of the fewest cells that hold a share of the map, of a square in the middle of the image."""
    sizes = np.sort(np.abs(heatmap.values.astype(np.float64)).ravel())[::-1]
    count = 1 + int(np.argmax(np.cumsum(sizes) >= share * sizes.sum()))
    cells = (np.abs(heatmap.values) >= sizes[count - 1]) & (sign * heatmap.values > 0)
    side = ROWS / len(cells)
    row, col = np.indices((ROWS, COLS)) + 0.5
    down = np.floor(row / side).astype(int)
    across = np.floor((col - (COLS - ROWS) / 2) / side).astype(int)
    seen = (across >= 0) & (across < len(cells))
    return np.where(seen, cells[down, across.clip(0, len(cells) - 1)], False)


def test_lines_surround_the_pixels_of_the_strongest_cells(record: Record, written: Dataset) -> None:
    found = layers(written)
    heatmap = Explanation(record).heatmap("attention")
    assert list(found) == ["MAP 90", "MAP 50"]
    for name, share in (("MAP 50", 0.5), ("MAP 90", 0.9)):
        np.testing.assert_array_equal(inside(found[name]), strongest(heatmap, share))
    assert 0 < inside(found["MAP 50"]).sum() < inside(found["MAP 90"]).sum()


def test_signs_have_layers_of_their_own(record: Record, file: bytes) -> None:
    heatmap = Explanation(record).heatmap("occlusion")
    found = layers(state_of(record, heatmap, file))
    assert {"FOR 50", "FOR 90", "AGAINST 90"} <= set(found)
    for name, lines in found.items():
        kind, share = name.split()
        expected = strongest(heatmap, int(share) / 100, 1.0 if kind == "FOR" else -1.0)
        np.testing.assert_array_equal(inside(lines), expected)


def test_lines_are_closed_and_end_at_the_edges_of_the_image(record: Record, file: bytes) -> None:
    # Cells of a squeezed square, the last of which reach beyond the image on every side.
    grid = records.grid_over((-9.0, -7.0, ROWS + 9.0, COLS + 7.0), (6, 6))
    values = np.ones((6, 6), np.float32)
    values[2, 2] = 0.0
    heatmap = replace(Explanation(record).heatmap("attention"), values=values, grid=grid)
    (outer, hole) = layers(state_of(record, heatmap, file))["MAP 50"]
    assert outer.min(axis=0).tolist() == [0.0, 0.0]
    assert outer.max(axis=0).tolist() == [COLS, ROWS]
    cell = np.array([(COLS + 14.0) / 6, (ROWS + 18.0) / 6])
    np.testing.assert_allclose(hole.min(axis=0), 2 * cell - (7.0, 9.0), rtol=1e-6)
    np.testing.assert_allclose(np.ptp(hole, axis=0), cell, rtol=1e-6)
    assert (outer[0] == outer[-1]).all() and (hole[0] == hole[-1]).all()


def test_it_refers_to_the_original_and_bears_its_names(written: Dataset) -> None:
    assert written.SOPClassUID == pydicom.uid.GrayscaleSoftcopyPresentationStateStorage
    (series,) = written.ReferencedSeriesSequence
    (image,) = series.ReferencedImageSequence
    assert series.SeriesInstanceUID == UIDS["SeriesInstanceUID"]
    named = {(image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID)}
    for annotation in written.GraphicAnnotationSequence:
        (image,) = annotation.ReferencedImageSequence
        named.add((image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID))
    assert named == {(UIDS["SOPClassUID"], UIDS["SOPInstanceUID"])}
    assert {keyword: str(written[keyword].value) for keyword in PATIENT} == PATIENT
    assert written.StudyInstanceUID == UIDS["StudyInstanceUID"]
    assert written.SOPInstanceUID not in UIDS.values()
    assert written.SeriesInstanceUID not in UIDS.values()
    assert "BurnedInAnnotation" not in written
    (area,) = written.DisplayedAreaSelectionSequence
    assert list(area.DisplayedAreaTopLeftHandCorner) == [1, 1]
    assert list(area.DisplayedAreaBottomRightHandCorner) == [COLS, ROWS]


def words(dataset: Dataset) -> str:
    *_, last = dataset.GraphicAnnotationSequence
    return str(last.TextObjectSequence[0].UnformattedTextValue)


def test_words_say_what_it_is_and_whether_to_believe_it(
    record: Record, written: Dataset, file: bytes
) -> None:
    text = words(written)
    assert text.startswith("Lines derived by groundviz: where the model looked\r\n")
    assert "not why it answered" in text and "not measured" in text
    assert "Needs the image: no;" in words(state(records.checked(record, "no"), file))
    assert written.ContentLabel == "WHERE IT LOOKED"
    other = state(record, file, "occlusion")
    assert "looked" not in f"{words(other)} {other.ContentLabel} {other.SeriesDescription}"


def test_words_tell_of_a_map_that_is_tiny_or_was_interrupted(record: Record, file: bytes) -> None:
    tiny = replace(Explanation(record).heatmap("occlusion"), unit="nats")
    text = words(state_of(record, replace(tiny, values=tiny.values * np.float32(1e-4)), file))
    assert "The map is under 0.01 nats everywhere." in text
    assert "never ran" in words(state(replace(record, unmeasured=("rise",)), file))


GREYS: dict[str, dict[str, Any]] = {
    "the file's window": {},
    "a given window": {"window": (900.0, 700.0)},
    "a narrow window": {"WindowCenter": 2000, "WindowWidth": 20},
    "an exact window": {"WindowWidth": 20, "VOILUTFunction": "LINEAR_EXACT"},
    "a sigmoid": {"WindowWidth": 900, "VOILUTFunction": "SIGMOID"},
    "HU": {"RescaleSlope": 2, "RescaleIntercept": -1024, "RescaleType": "HU", "Modality": "CT"},
    "inverted": {"PhotometricInterpretation": "MONOCHROME1"},
    "no window": {"WindowCenter": None, "WindowWidth": None},
    "no window, inverted": {
        "WindowCenter": None,
        "WindowWidth": None,
        "PhotometricInterpretation": "MONOCHROME1",
        "RescaleSlope": -1,
        "RescaleIntercept": 4095,
    },
    "eight bits": {"stored": levels(8).astype(np.uint8), "WindowCenter": None, "WindowWidth": None},
    "signed": {"stored": levels().astype(np.int16) - 2000, "WindowCenter": 0, "WindowWidth": 3000},
}


def shown(dataset: Dataset, stored: np.ndarray) -> np.ndarray:
    """Stored values as a viewer shows them by a presentation state, 0 to 1: by pydicom's own functions."""
    values = apply_modality_lut(stored.astype(np.float64), dataset)
    (softcopy,) = dataset.SoftcopyVOILUTSequence
    # pydicom spreads a window over the range of the stored bits, which a state does not have.
    softcopy = Dataset(softcopy)
    softcopy.PhotometricInterpretation, softcopy.PixelRepresentation = "MONOCHROME2", 0
    softcopy.BitsAllocated = softcopy.BitsStored = 16
    greys = apply_voi_lut(values, softcopy) / 65535.0
    return 1.0 - greys if dataset.PresentationLUTShape == "INVERSE" else greys


def test_a_range_without_a_window_is_told_in_round_numbers(explained: Any) -> None:
    (softcopy,) = state(*reversed(explained(**GREYS["eight bits"]))).SoftcopyVOILUTSequence
    assert (float(softcopy.WindowCenter), float(softcopy.WindowWidth)) == (127.5, 255.0)


@pytest.mark.parametrize("kind", GREYS)
def test_greys_are_those_that_were_explained(explained: Any, kind: str) -> None:
    file, record = explained(**GREYS[kind])
    dataset = state(record, file)
    stored = pydicom.dcmread(io.BytesIO(file)).pixel_array
    np.testing.assert_allclose(shown(dataset, stored), record.source_image.pixels, atol=2e-5)


def test_a_table_of_greys_is_taken_over(explained: Any) -> None:
    table = Dataset()
    curve = np.rint(4095.0 * np.linspace(0.0, 1.0, 4096) ** 2).astype("<u2")
    table.add_new("LUTDescriptor", "US", [4096, 0, 12])
    table.add_new("LUTData", "OW", curve.tobytes())
    file, record = explained(WindowCenter=None, WindowWidth=None, VOILUTSequence=[table])
    dataset = state(record, file)
    (softcopy,) = dataset.SoftcopyVOILUTSequence
    found = apply_voi_lut(levels(), softcopy) / 65535.0
    np.testing.assert_allclose(found, record.source_image.pixels, atol=2e-5)
    np.testing.assert_allclose(found, curve[levels()] / 4095.0, atol=2e-5)


def test_a_frame_is_named_wherever_an_image_is(explained: Any) -> None:
    frames = np.stack([levels(), levels()[::-1]])
    file, record = explained(frames, frame=1, SOPClassUID="1.2.840.10008.5.1.4.1.1.7.3")
    dataset = state(record, file, frame=1)
    places = [dataset.ReferencedSeriesSequence[0], *dataset.GraphicAnnotationSequence]
    places += [dataset.SoftcopyVOILUTSequence[0]]
    named = [place.ReferencedImageSequence[0].ReferencedFrameNumber for place in places]
    assert named == [2] * len(places) and len(places) == 5


@pytest.mark.parametrize(
    ("spacing", "expected"),
    [
        ({"PixelSpacing": [0.5, 0.8]}, {"PresentationPixelSpacing": [0.5, 0.8]}),
        ({"PixelAspectRatio": [3, 4]}, {"PresentationPixelAspectRatio": [3, 4]}),
        ({"PixelSpacing": [0.5, 0.5]}, {"PresentationPixelAspectRatio": [1, 1]}),
    ],
)
def test_pixels_keep_their_shape(explained: Any, spacing: dict[str, Any], expected: dict[str, Any]) -> None:
    file, record = explained(**spacing)
    (area,) = state(record, file).DisplayedAreaSelectionSequence
    kept = ("PresentationPixelSpacing", "PresentationPixelAspectRatio")
    assert {name: list(map(float, area[name].value)) for name in kept if name in area} == expected


def test_an_image_in_colour_has_no_grey_state(explained: Any) -> None:
    colours = np.stack([levels(8).astype(np.uint8)] * 3, axis=2)
    colours[..., 0] //= 2
    file, record = explained(colours, WindowCenter=None, WindowWidth=None)
    with pytest.raises(ImageError, match="an image in colour"):
        state(record, file)


def test_a_map_without_lines_is_refused(record: Record, file: bytes) -> None:
    heatmap = Explanation(record).heatmap("attention")
    flat = replace(heatmap, values=np.full_like(heatmap.values, 0.25))
    with pytest.raises(TargetError, match="no outlines to be written: no evidence"):
        state_of(record, flat, file)
    fine = replace(
        heatmap,
        values=np.random.default_rng(0).random((96, 96), np.float32),
        grid=records.cropped_grid(ROWS, COLS, 96),
    )
    with pytest.raises(TargetError, match="it has 96 x 96 cells, expected at most 64"):
        state_of(record, fine, file)
    beside = np.zeros((2, 2), np.float32)
    beside[0, 0] = 1.0
    grid = records.grid_over((-30.0, 0.0, 30.0, 84.0), (2, 2))
    with pytest.raises(TargetError, match="lies beside the image"):
        state_of(record, replace(heatmap, values=beside, grid=grid), file)
