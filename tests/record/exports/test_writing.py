"""One call writes maps in the format that the file's name says, and nothing over anything."""

import json
from dataclasses import replace

import numpy as np
import pytest

from groundviz.errors import OptionError, StoreError, TargetError, UnknownName
from groundviz.explanation import Explanation
from tests.support import records

HELD = Explanation(records.record(96, 144))


def test_an_array_is_the_raw_map(tmp_path):
    (path,) = HELD.export(tmp_path / "map.npy", "occlusion", "nodule", layers=1)
    np.testing.assert_array_equal(np.load(path), HELD.heatmap("occlusion", "nodule", layer=1).values)


def test_unasked_a_single_map_is_the_one_that_heatmap_gives(tmp_path):
    (path,) = HELD.export(tmp_path / "map.npy")
    np.testing.assert_array_equal(np.load(path), HELD.heatmap().values)


@pytest.mark.parametrize("smooth", [False, True])
def test_resampled_a_map_has_a_value_for_each_pixel_that_the_model_saw(tmp_path, smooth):
    (path,) = HELD.export(tmp_path / "map.npy", resample=True, smooth=smooth)
    pixels = np.load(path)
    assert pixels.shape == (96, 144)
    assert np.isnan(pixels[:, :24]).all()
    assert np.isnan(pixels[:, 120:]).all()
    seen = pixels[:, 24:120]
    assert np.isfinite(seen).all()
    assert (len(np.unique(seen)) > 196) == smooth


def test_a_mask_is_one_where_cells_are_strong(tmp_path):
    (cells,) = HELD.export(tmp_path / "mask.npy", mask=True, share=0.2)
    (pixels,) = HELD.export(tmp_path / "pixels.npy", mask=True, share=0.2, resample=True)
    coarse, fine = np.load(cells), np.load(pixels)
    assert coarse.dtype == fine.dtype == np.uint8
    assert set(np.unique(coarse)) == set(np.unique(fine)) == {0, 1}
    strong = coarse.astype(bool)
    values = HELD.heatmap().values
    assert values[strong].min() > values[~strong].max()
    assert values[strong].sum() >= 0.2 * values.sum()
    assert not fine[:, :24].any()


def test_a_folder_gets_all_formats_for_all_maps(tmp_path):
    held = Explanation(records.pair())
    written = held.export(tmp_path, targets=["nodule", " the"])
    assert {path.name for path in written} == {path.name for path in tmp_path.iterdir()}
    assert {"maps.csv", "boxes.json"} < {path.name for path in written}
    arrays = sorted(tmp_path.glob("*.npy"))
    assert len(arrays) == len(sorted(tmp_path.glob("*.nii.gz"))) == 2 * 2 * 2
    assert arrays[0].name == "001_attention_nodule_image-0.npy"
    np.testing.assert_array_equal(np.load(arrays[0]), held.heatmap("attention", "nodule").values)


@pytest.mark.parametrize("name", ["maps.csv", "boxes.json", "map.npy", "map.nii", "map.nii.gz", "MAP.NPY"])
def test_nothing_is_written_over_anything_unasked(tmp_path, name):
    (path,) = HELD.export(tmp_path / name)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="exists"):
        HELD.export(path, "occlusion")
    assert path.read_bytes() == before
    HELD.export(path, "occlusion", overwrite=True)
    assert path.read_bytes() != before
    assert [one.name for one in tmp_path.iterdir()] == [name]


def test_a_folder_in_which_one_name_is_taken_gets_nothing(tmp_path):
    (tmp_path / "boxes.json").write_text("mine")
    with pytest.raises(StoreError, match="exists"):
        HELD.export(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["boxes.json"]
    assert (tmp_path / "boxes.json").read_text() == "mine"


@pytest.mark.parametrize("name", ["maps", "maps.xls", "maps.gz", ".csv", "folder/"])
def test_a_name_without_a_format_is_refused(tmp_path, name):
    with pytest.raises(UnknownName, match=r"known are \.csv, \.json, \.npy, \.nii, \.nii\.gz"):
        HELD.export(tmp_path / name)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"layers": "each"}, OptionError, "several layers are asked for"),
        ({"layers": range(2)}, OptionError, "several layers are asked for"),
        ({"layers": np.array([0, 1])}, OptionError, "several layers are asked for"),
        ({"methods": {"attention", "occlusion"}}, OptionError, "several methods are asked for"),
        ({"heads": [0, 1]}, OptionError, "several heads are asked for"),
        ({"methods": ["attention", "occlusion"]}, OptionError, "several methods are asked for"),
        ({"targets": ["nodule", "left"]}, OptionError, "several targets are asked for"),
        ({"smooth": True}, OptionError, "resample=True"),
        ({"smooth": True, "resample": True, "mask": True}, OptionError, "a mask has none"),
        ({"share": 2.0}, OptionError, "share is 2.0"),
        ({"share": "0.5"}, OptionError, "share is '0.5'"),
        ({"share": None}, OptionError, "share is None"),
        ({"share": True}, OptionError, "share is True"),
        ({"threshold": "high"}, OptionError, "threshold is 'high'"),
        ({"methods": "rise"}, UnknownName, "'rise'"),
        ({"targets": "effusion"}, TargetError, "'effusion'"),
        ({"image": 4}, UnknownName, "image=4"),
    ],
)
def test_what_one_map_cannot_be_is_refused_and_nothing_written(tmp_path, given, error, words):
    with pytest.raises(error, match=words):
        HELD.export(tmp_path / "map.npy", **given)
    assert not list(tmp_path.iterdir())


def test_one_of_a_list_is_one_map_and_a_range_of_tokens_one_target(tmp_path):
    (path,) = HELD.export(tmp_path / "map.npy", ["occlusion"], (3, 5), layers=[0])
    np.testing.assert_array_equal(np.load(path), HELD.heatmap("occlusion", (3, 5), layer=0).values)


def test_what_no_method_measured_is_no_file(tmp_path):
    one = HELD.record
    only = tuple(replace(maps, targets=maps.targets[:1], values=maps.values[:1]) for maps in one.heatmaps)
    held = Explanation(replace(one, heatmaps=only))
    with pytest.raises(TargetError, match="There is no map to write"):
        held.export(tmp_path / "map.npy")


@pytest.mark.parametrize("given", [{"methods": []}, {"targets": []}])
@pytest.mark.parametrize("name", ["maps.csv", "boxes.json", "map.npy"])
def test_of_nothing_there_is_no_file(tmp_path, given, name):
    with pytest.raises(TargetError, match="There is no map"):
        HELD.export(tmp_path / name, **given)
    assert not list(tmp_path.iterdir())


def test_files_tell_nothing_of_file_names_or_labels(tmp_path):
    secret = replace(HELD.record, label="DOE^JANE")
    Explanation(secret).export(tmp_path)
    for path in tmp_path.iterdir():
        assert b"DOE" not in path.read_bytes(), path.name
    assert json.loads((tmp_path / "boxes.json").read_text())["annotations"]
