from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from groundviz import images
from groundviz.demo.findings import FINDINGS
from groundviz.demo.phantoms import phantom
from scripts.export_samples import SAMPLES, main, mask_to_png, sample_files, to_dicom, to_png
from tests.support.pages import assert_up_to_date

COMMITTED = Path(__file__).parents[2] / "sample_images"
NODULE = phantom(3, findings=["nodule"])


def levels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


@pytest.mark.parametrize(("bits", "dtype"), [(8, np.uint8), (16, np.uint16)])
def test_a_png_holds_the_pixels(bits: int, dtype: type) -> None:
    stored = levels(to_png(NODULE.pixels, bits=bits))
    top = 2**bits - 1
    assert stored.dtype == dtype
    assert np.abs(stored / top - NODULE.pixels).max() <= 0.5 / top + 1e-7


def test_sixteen_bits_keep_more_than_eight() -> None:
    assert len(np.unique(levels(to_png(NODULE.pixels, bits=16)))) > 2000


def test_a_mask_is_black_and_white() -> None:
    stored = levels(mask_to_png(NODULE.mask("nodule")))
    assert set(np.unique(stored)) == {0, 255}
    assert np.array_equal(stored == 255, NODULE.mask("nodule"))


def test_a_dicom_file_is_read_by_pydicom_without_a_word() -> None:
    dataset = pydicom.dcmread(io.BytesIO(to_dicom(NODULE)))
    assert dataset.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert (dataset.Rows, dataset.Columns, dataset.BitsStored, dataset.HighBit) == (112, 112, 12, 11)
    assert dataset.PhotometricInterpretation == "MONOCHROME2"
    assert dataset.SyntheticData == "YES"
    assert np.abs(dataset.pixel_array / 4095 - NODULE.pixels).max() <= 0.5 / 4095 + 1e-7


def test_the_window_of_a_dicom_file_shows_every_level_as_drawn() -> None:
    source_image = images.load(pydicom.dcmread(io.BytesIO(to_dicom(NODULE))))
    assert source_image.source == "dicom"
    assert source_image.spacing_mm == pytest.approx((360 / 112, 360 / 112), abs=1e-5)
    assert np.abs(source_image.pixels - NODULE.pixels).max() <= 0.5 / 4095 + 1e-6


def test_a_dicom_file_names_nobody() -> None:
    dataset = pydicom.dcmread(io.BytesIO(to_dicom(NODULE)))
    named = [
        element.keyword
        for element in dataset
        if element.VR in ("PN", "DA", "TM", "DT", "AE") and element.value
    ]
    assert named == []
    assert not dataset.PatientID
    assert not dataset.AccessionNumber


def test_equal_phantoms_give_equal_files_and_others_other_identifiers() -> None:
    assert to_dicom(NODULE) == to_dicom(phantom(3, findings=["nodule"]))
    twin = phantom(3, findings=["nodule"], without=["nodule"])
    files = [pydicom.dcmread(io.BytesIO(to_dicom(drawn))) for drawn in (NODULE, twin)]
    assert files[0].SOPInstanceUID != files[1].SOPInstanceUID
    assert all(file.SOPInstanceUID == file.file_meta.MediaStorageSOPInstanceUID for file in files)


def test_the_samples_show_every_finding_none_and_two() -> None:
    shown = [sample.findings for sample in SAMPLES]
    assert [(name,) for name in FINDINGS] == shown[: len(FINDINGS)]
    assert () in shown
    assert any(len(findings) == 2 for findings in shown)


def test_no_sample_was_trained_on() -> None:
    from scripts.training_phantoms import TRAINING_SEEDS

    assert all(sample.seed >= TRAINING_SEEDS for sample in SAMPLES)


@pytest.mark.wide
def test_the_committed_samples_are_what_the_command_writes(tmp_path: Path) -> None:
    main([str(tmp_path)])
    written = {path.relative_to(tmp_path) for path in tmp_path.rglob("*.*")}
    committed = {path.relative_to(COMMITTED) for path in COMMITTED.rglob("*.*")}
    assert written == committed
    assert sum((COMMITTED / name).stat().st_size for name in committed) < 2_000_000
    for name in sorted(written):
        fresh, kept = tmp_path / name, COMMITTED / name
        if name.suffix == ".md":
            command = "python scripts/export_samples.py sample_images --overwrite"
            assert_up_to_date(kept.read_text("utf-8"), fresh.read_text("utf-8"), page=kept, command=command)
            continue
        # Compressors differ between versions and a sine's last bit between processors, hence one grey level.
        one, other = images.load(fresh), images.load(kept)
        assert np.abs(one.pixels - other.pixels).max() <= 1.01 / 255
        assert np.abs(one.pixels - other.pixels).mean() < 1e-5


@pytest.mark.wide
def test_the_masks_beside_the_samples_are_the_truth() -> None:
    files = dict(sample_files())
    for sample in SAMPLES:
        drawn = sample.draw()
        for name in drawn.names:
            suffix = f"-{name}" if len(drawn.names) > 1 else ""
            assert np.array_equal(levels(files[f"masks/{sample.name}{suffix}.png"]) == 255, drawn.mask(name))
