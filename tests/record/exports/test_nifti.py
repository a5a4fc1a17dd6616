"""A map as a NIfTI volume, read back by nibabel: every voxel lies where the cell lies on the image."""

import io
from dataclasses import replace

import numpy as np
import pytest

import groundviz
from groundviz.errors import OptionError
from groundviz.explanation import Explanation
from groundviz.record.exports import nifti
from tests.support import records

nib = pytest.importorskip("nibabel", reason="not installed: nibabel")

SPACING = (0.5, 0.2)


def marked() -> Explanation:
    """A wide image with anisotropic pixels, and a map whose upper right cell alone is high."""
    one = records.record(40, 120)
    grid = records.grid_over((0, 20, 40, 120), (4, 5))
    made = records.record_of([replace(one.source_image, spacing_mm=SPACING)], [grid])
    values = np.zeros_like(made.heatmaps[0].values)
    values[..., 0, 4] = 1.0
    return Explanation(replace(made, heatmaps=(replace(made.heatmaps[0], values=values),)))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("resample", [False, True])
def test_a_marked_corner_is_found_where_it_lies(tmp_path, suffix, resample):
    held = marked()
    (path,) = held.export(tmp_path / f"map{suffix}", resample=resample)
    volume = nib.load(path)
    data = np.asanyarray(volume.dataobj)
    expected = np.asarray(held.heatmap())
    if resample:
        assert data.shape == (120, 40, 1)
        # Left of the model's view there is nothing.
        assert np.isnan(data[:20]).all()
    else:
        assert data.shape == (5, 4, 1)
        np.testing.assert_array_equal(data[..., 0].T, expected)
    assert volume.header.get_xyzt_units()[0] == "mm"
    strong = np.argwhere(np.nan_to_num(data) == data[~np.isnan(data)].max())
    placed = nib.affines.apply_affine(volume.affine, strong)
    # ITK's place of a pixel: its column and row times the spacing, which NIfTI turns round.
    col, row = -placed[:, 0] / SPACING[1], -placed[:, 1] / SPACING[0]
    assert col.mean() == pytest.approx(100 + 20 / 2 - 0.5)
    assert row.mean() == pytest.approx(10 / 2 - 0.5)


def test_both_ways_to_say_where_it_lies_agree(tmp_path):
    (path,) = marked().export(tmp_path / "map.nii")
    header = nib.load(path).header
    np.testing.assert_allclose(header.get_sform(), header.get_qform(), atol=1e-6)
    assert header.get_sform(coded=True)[1] == header.get_qform(coded=True)[1] == 2
    assert nib.aff2axcodes(header.get_sform()) == ("L", "P", "S")
    assert header.get_zooms() == pytest.approx((20 * 0.2, 10 * 0.5, 1.0))


def test_without_spacing_a_pixel_counts_and_the_unit_is_unknown(tmp_path):
    held = Explanation(records.record(96, 144))
    (path,) = held.export(tmp_path / "map.nii", resample=True)
    volume = nib.load(path)
    assert volume.header.get_xyzt_units()[0] == "unknown"
    np.testing.assert_array_equal(volume.affine, np.diag([-1.0, -1.0, 1.0, 1.0]))


def test_it_says_what_it_is_and_nothing_of_whom(tmp_path):
    one = records.record()
    secret = replace(one, label="DOE^JANE", prompt=replace(one.prompt, question="Is Jane Doe ill?"))
    (path,) = Explanation(secret).export(tmp_path / "map.nii")
    content = path.read_bytes()
    assert b"groundviz attention, share of attention" in content
    assert b"DOE" not in content.upper()


def test_the_same_map_gives_the_same_bytes():
    source_image = groundviz.images.load(np.zeros((4, 6), np.uint8))
    values = np.arange(24, dtype=np.float32).reshape(4, 6)
    both = [nifti.packed(values, np.eye(2, 3), source_image, "x", zipped=True) for _ in range(2)]
    assert both[0] == both[1]
    plain = nifti.packed(values.astype(np.uint8), np.eye(2, 3), source_image, "é" * 200, zipped=False)
    volume = nib.Nifti1Image.from_stream(io.BytesIO(plain))
    np.testing.assert_array_equal(np.asanyarray(volume.dataobj)[..., 0].T, values)
    assert volume.get_data_dtype() == np.uint8


def test_a_side_that_the_format_cannot_count_is_refused(tmp_path):
    held = Explanation(
        records.record_of([records.source_image(40, 33000)], [records.grid_over((0, 0, 40, 33000), (1, 2))])
    )
    with pytest.raises(OptionError, match="cannot hold 40 x 33000 values: expected at most 32767"):
        held.export(tmp_path / "map.nii", resample=True)
    assert not list(tmp_path.iterdir())
    held.export(tmp_path / "map.nii")
