"""Long tables and labelled arrays hold every value of a map, at its place, once."""

import csv
import io
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from groundviz.errors import OptionError, TargetError, UnknownName
from groundviz.explanation import Explanation
from groundviz.record.exports import long
from groundviz.record.exports.choice import Choice
from tests.support import records

pd = pytest.importorskip("pandas", reason="not installed: pandas")
xr = pytest.importorskip("xarray", reason="not installed: xarray")

RECORD = records.record(96, 144)
HELD = Explanation(RECORD)
SPOKEN = len(RECORD.answer.spoken)


def test_the_columns_are_those_that_were_promised():
    frame = HELD.to_dataframe()
    first = ["token", "method", "layer", "head", "image", "row", "col", "value", "unit"]
    assert list(frame.columns[:9]) == first
    assert list(frame.columns[9:]) == ["target", "tokens", "tile", "standard_error"]
    assert [str(frame[name].dtype) for name in ("token", "layer", "head", "image", "row", "value")] == [
        *["Int64"] * 3,
        *["int64"] * 2,
        "float32",
    ]


def test_unasked_there_is_a_row_for_each_cell_of_each_measured_target():
    frame = HELD.to_dataframe()
    assert len(frame) == 2 * SPOKEN * 14 * 14
    assert frame["layer"].isna().all()
    assert frame["head"].isna().all()
    for method in HELD.methods:
        for token in RECORD.answer.spoken:
            rows = frame[(frame["method"] == method) & (frame["token"] == token)]
            heatmap = HELD.heatmap(method, token)
            back = rows.pivot(index="row", columns="col", values="value").to_numpy()
            np.testing.assert_array_equal(back, heatmap.values)
            assert set(rows["unit"]) == {heatmap.unit}
            assert set(rows["target"]) == {heatmap.target.text}


def test_a_named_target_of_several_tokens_is_combined_as_a_heatmap_is():
    frame = HELD.to_dataframe("attention", RECORD.target)
    assert frame["token"].isna().all()
    assert set(frame["tokens"]) == {"0-6"}
    np.testing.assert_array_equal(frame["value"].to_numpy().reshape(14, 14), HELD.heatmap("attention").values)


def test_every_layer_and_head_by_itself():
    frame = HELD.to_dataframe("attention", ["nodule", "left"], layers="each", heads="each")
    assert len(frame) == 2 * 2 * 2 * 14 * 14
    maps = RECORD.heatmaps[0]
    for (token, layer, head), rows in frame.groupby(["token", "layer", "head"]):
        entry = maps.values[[target.tokens for target in maps.targets].index((token,)), layer, head]
        np.testing.assert_array_equal(rows["value"].to_numpy().reshape(14, 14), entry)
    some = HELD.to_dataframe("attention", "nodule", layers=[1], heads=0)
    assert set(zip(some["layer"], some["head"], strict=True)) == {(1, 0)}


def test_a_method_that_tells_no_layers_apart_has_none_of_them():
    sampled = Explanation(records.flawed(RECORD))
    frame = sampled.to_dataframe("occlusion", layers="each", heads="each")
    assert frame["layer"].isna().all()
    assert frame["head"].isna().all()
    errors = sampled.record.heatmaps[1].standard_error
    assert errors is not None
    np.testing.assert_array_equal(frame["standard_error"], errors.ravel())
    assert HELD.to_dataframe("attention")["standard_error"].isna().all()


def test_cells_without_a_value_stay_as_nan():
    grid = replace(RECORD.prompt.grids[0], valid=np.arange(196).reshape(14, 14) > 20)
    holed = records.record_of(RECORD.source_images, [grid])
    frame = Explanation(holed).to_dataframe("attention", "nodule")
    assert len(frame) == 196
    assert frame["value"].isna().sum() == 21
    assert set(frame[frame["value"].isna()]["row"]) == {0, 1}


def test_images_and_tiles_are_told_apart():
    pair = Explanation(records.pair()).to_dataframe("attention", "nodule")
    assert set(pair["image"]) == {0, 1}
    assert set(pair["tile"]) == {""}
    tiled = Explanation(records.tiled()).to_dataframe("attention", "nodule")
    assert tiled.groupby("tile").size().to_dict() == {"overview": 49, "tiles": 294}
    box = (0, 0, 96, 144)
    unnamed = records.record_of(RECORD.source_images, [records.grid_over(box, (2, 2))] * 2)
    frame = Explanation(unnamed).to_dataframe("attention", "nodule")
    assert set(frame["tile"]) == {"0", "1"}


def test_tokens_of_the_question_count_from_its_end():
    asked = Explanation(records.asked(RECORD))
    frame = asked.to_dataframe("attention")
    assert set(frame["token"]) == {*RECORD.answer.spoken, *asked.record.prompt.asked}


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"methods": "rise"}, UnknownName, "holds no maps of 'rise'"),
        ({"targets": "effusion"}, TargetError, "does not contain 'effusion'"),
        ({"layers": 7}, TargetError, "no map for layer 7"),
        ({"heads": [0, 9]}, TargetError, "no map for head 9"),
        ({"layers": "all"}, OptionError, "expected None to combine them, 'each'"),
        ({"heads": []}, OptionError, "expected None to combine them, 'each'"),
        ({"layers": True}, OptionError, "expected None to combine them, 'each'"),
        ({"layers": [True]}, OptionError, "expected None to combine them, 'each'"),
        ({"layers": np.array([])}, OptionError, "expected None to combine them, 'each'"),
        ({"methods": 3}, OptionError, "methods is of type int"),
        ({"methods": (name for name in ["attention"])}, OptionError, "methods is of type generator"),
    ],
)
def test_what_is_not_there_is_named(given, error, words):
    with pytest.raises(error, match=words):
        HELD.to_dataframe(**given)


@pytest.mark.parametrize("layers", [np.array([0, 1]), range(2), [np.int64(0), np.int64(1)], [0, 1, 1]])
def test_numbers_of_numpy_are_numbers_and_each_counts_once(layers):
    frame = HELD.to_dataframe("attention", "nodule", layers=layers)
    assert frame.groupby("layer").size().to_dict() == {0: 196, 1: 196}
    one = HELD.to_dataframe("attention", "nodule", layers=np.int64(1))
    assert set(one["layer"]) == {1}


def test_a_method_that_is_named_twice_has_its_rows_once():
    twice = HELD.to_dataframe(["attention", "attention"], "nodule")
    assert len(twice) == len(HELD.to_dataframe("attention", "nodule"))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1"])
def test_what_a_model_answers_is_no_formula_in_a_spreadsheet(text):
    maps = RECORD.heatmaps[0]
    hostile = replace(maps, targets=(replace(maps.targets[0], text=text), *maps.targets[1:]))
    table = long.columns(replace(RECORD, heatmaps=(hostile,)), Choice())
    assert table["target"][0] == text
    rows = list(csv.DictReader(io.StringIO(long.as_csv(table).decode(), newline="")))
    assert rows[0]["target"] == f"'{text}"
    assert rows[-1]["target"] == maps.targets[-1].text
    # Numbers below zero stay numbers.
    asked = csv.DictReader(io.StringIO(long.as_csv(long.columns(records.asked(RECORD), Choice())).decode()))
    assert {"-1", "-2"} & {row["tokens"] for row in asked}


def test_csv_brings_every_float_back():
    table = long.columns(records.flawed(RECORD), Choice(targets="nodule"))
    rows = list(csv.DictReader(io.StringIO(long.as_csv(table).decode())))
    back = np.array([float(row["value"] or "nan") for row in rows], np.float32)
    np.testing.assert_array_equal(back, np.asarray(table["value"]))
    assert {row["layer"] for row in rows} == {""}
    assert {row["token"] for row in rows} == {"0"}
    frame = pd.read_csv(io.BytesIO(long.as_csv(table)))
    assert list(frame.columns) == list(long.COLUMNS)


def test_a_labelled_array_holds_all_that_was_measured_where_it_lies():
    data = HELD.to_xarray("occlusion")
    maps = RECORD.heatmaps[1]
    assert data["value"].dims == ("target", "layer", "head", "row", "col")
    np.testing.assert_array_equal(data["value"], maps.values)
    # The middle square of a wide image: columns begin where the crop does.
    assert float(data["row"][0]) == pytest.approx(96 / 14 / 2)
    assert float(data["col"][0]) == pytest.approx((144 - 96) / 2 + 96 / 14 / 2)
    assert data["value"].attrs["units"] == data.attrs["unit"] == "Δ log-prob"
    assert data.attrs["method"] == "occlusion"
    assert json.loads(data.attrs["provenance"])["model"] == RECORD.provenance.model
    chosen = data["value"].sel(target="nodule", layer=1, head=0)
    np.testing.assert_array_equal(chosen, maps.at(maps.targets[0], layer=1, head=0).values)


def test_tables_and_arrays_say_whether_maps_are_to_be_believed():
    made = Explanation(records.checked(RECORD, "yes", occlusion="shown"))
    told = made.to_dataframe().attrs["evidence"]
    assert told["attention"]["needs_image"] == told["occlusion"]["needs_image"] == "yes"
    assert told["attention"]["marked_place"] == "not measured"
    assert told["occlusion"]["marked_place"] == "shown"
    assert told["occlusion"]["verdict"].startswith("Covering the marked place weakens")
    attributes = made.to_xarray("occlusion").attrs
    assert (attributes["needs_image"], attributes["marked_place"]) == ("yes", "shown")
    old = Explanation(replace(RECORD, checks=())).to_xarray("attention").attrs
    assert (old["needs_image"], old["marked_place"], old["verdict"]) == (
        *["not measured"] * 2,
        "Not measured: the marked place.",
    )


def test_who_writes_into_a_labelled_array_leaves_the_record_as_it_is():
    sampled = records.flawed()
    maps = sampled.heatmaps[1]
    assert maps.standard_error is not None
    held = (maps.values, maps.standard_error, maps.grid.valid)
    before = [array.copy() for array in held]
    data = Explanation(sampled).to_xarray("occlusion")
    for name in ("value", "standard_error", "valid"):
        data[name][:] = 0
    for array, kept in zip(held, before, strict=True):
        np.testing.assert_array_equal(array, kept)


def test_a_labelled_array_is_kept_in_the_oldest_kind_of_netcdf_file(tmp_path):
    pytest.importorskip("scipy", reason="not installed: scipy")
    data = HELD.to_xarray("occlusion")
    data.to_netcdf(tmp_path / "maps.nc", engine="scipy")
    back = xr.load_dataset(tmp_path / "maps.nc", engine="scipy")
    np.testing.assert_array_equal(back["value"], data["value"])
    assert back.attrs["reduce"] == "sum mean mean"


def test_of_several_images_and_tiles_one_is_taken():
    pair = Explanation(records.pair())
    assert pair.to_xarray("attention", image=1).sizes["row"] == 7
    tiled = Explanation(records.tiled()).to_xarray("attention", tile="tiles")
    assert (tiled.attrs["tile"], tiled.sizes["col"]) == ("tiles", 21)
    with pytest.raises(UnknownName, match="image=2"):
        pair.to_xarray("attention", image=2)


def test_sampled_methods_bring_their_error_and_no_number_of_a_layer():
    data = Explanation(records.flawed()).to_xarray("occlusion")
    assert "standard_error" in data
    assert "layer" not in data.coords


@pytest.mark.parametrize(("package", "call"), [("pandas", "to_dataframe"), ("xarray", "to_xarray")])
def test_without_the_package_the_error_names_the_command(package, call):
    code = f"""
import sys
sys.modules[{package!r}] = None
from groundviz.errors import MissingExtra
from groundviz.explanation import Explanation
from tests.support import records
try:
    Explanation(records.record()).{call}()
except MissingExtra as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip().endswith('Install it with: pip install "groundviz[tables]"')
