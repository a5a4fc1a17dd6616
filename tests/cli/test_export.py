"""`groundviz export`: maps of a saved explanation in files, or one line that says why not."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import groundviz
from groundviz import cli

GOLDEN = Path(__file__).parents[1] / "record" / "golden"
CONTRAST, TWO = str(GOLDEN / "contrast.gvz"), str(GOLDEN / "question_two_images.gvz")

Capture = pytest.CaptureFixture[str]


def test_several_formats_at_once(tmp_path: Path, capsys: Capture) -> None:
    places = [tmp_path / name for name in ("maps.csv", "boxes.json", "map.npy", "map.nii.gz")]
    to = [word for place in places for word in ("--to", str(place))]
    assert cli.main(["export", CONTRAST, *to, "--method", "occlusion"]) == 0
    assert capsys.readouterr().out.splitlines() == ["Written:", *(f"  {place}" for place in places)]
    held = groundviz.open(CONTRAST)
    np.testing.assert_array_equal(np.load(tmp_path / "map.npy"), held.heatmap("occlusion"))
    with (tmp_path / "maps.csv").open() as stream:
        assert {row["method"] for row in csv.DictReader(stream)} == {"occlusion"}
    assert json.loads((tmp_path / "boxes.json").read_text())["annotations"]


def test_layers_heads_images_and_targets_are_named(tmp_path: Path) -> None:
    place = tmp_path / "map.npy"
    asked = ["--layer", "2", "--head", "1", "--image", "1", "--method", "attention", "--target", "yes"]
    assert cli.main(["export", TWO, "--to", str(place), *asked]) == 0
    heatmap = groundviz.open(TWO).heatmap("attention", "yes", image=1, layer=2, head=1)
    np.testing.assert_array_equal(np.load(place), heatmap)


def test_each_layer_and_several_heads_fill_a_table(tmp_path: Path) -> None:
    place = tmp_path / "maps.csv"
    asked = ["--layer", "each", "--head", "0", "--head", "3", "--target", "yes", "--image", "0"]
    assert cli.main(["export", TWO, "--to", str(place), *asked]) == 0
    with place.open() as stream:
        rows = list(csv.DictReader(stream))
    assert {(row["layer"], row["head"]) for row in rows} == {(str(n), h) for n in range(4) for h in "03"}


def test_smooth_is_resampled(tmp_path: Path) -> None:
    place = tmp_path / "map.npy"
    assert cli.main(["export", CONTRAST, "--to", str(place), "--smooth"]) == 0
    assert np.load(place).shape == groundviz.open(CONTRAST).source_image.shape


def test_a_folder_is_filled(tmp_path: Path) -> None:
    assert cli.main(["export", CONTRAST, "--to", str(tmp_path)]) == 0
    assert {"maps.csv", "boxes.json"} < {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["--to", "maps.xls"], "The name says no format"),
        (["--to", "map.npy", "--method", "rise"], "holds no maps of 'rise'"),
        (["--to", "map.npy", "--target", "effusion"], "does not contain 'effusion'"),
        (["--to", "map.npy", "--layer", "each"], "several layers are asked for"),
        (["--to", "map.npy", "--layer", "99"], "no map for layer 99"),
        (["--to", "map.npy", "--image", "5"], "no map of image=5"),
        (["--to", "no/such/folder/map.npy"], "folder to write into does not exist"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, asked: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["export", CONTRAST, *asked]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.err.split("\r")[-1].strip().count("\n") == 0
    assert captured.out == ""
    assert not list(tmp_path.iterdir())


def test_no_file_is_replaced_and_none_written_beside_one_that_is_there(
    tmp_path: Path, capsys: Capture
) -> None:
    taken, free = tmp_path / "map.npy", tmp_path / "maps.csv"
    taken.write_text("mine")
    both = ["export", CONTRAST, "--to", str(free), "--to", str(taken)]
    assert cli.main(both) == 2
    assert "Pass --overwrite" in capsys.readouterr().err
    assert taken.read_text() == "mine"
    assert not free.exists()
    assert cli.main([*both, "--overwrite"]) == 0
    assert np.load(taken).shape == (14, 14)


@pytest.mark.parametrize("option", [["--share", "0"], ["--threshold", "-1"], ["--layer", "all"]])
def test_an_option_that_stands_for_nothing_is_refused(tmp_path: Path, option: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["export", CONTRAST, "--to", str(tmp_path / "map.npy"), *option])
    assert ended.value.code == 2


def test_a_name_that_is_too_long_is_one_line(tmp_path: Path, capsys: Capture) -> None:
    assert cli.main(["export", CONTRAST, "--to", str(tmp_path / f"{'a' * 300}.csv")]) == 2
    assert "No file can have this name" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.fixture
def from_dicom(tmp_path: Path) -> tuple[str, str]:
    """A saved explanation of a sample, and the file that its image came from."""
    pytest.importorskip("highdicom", reason="not installed: highdicom")
    sample = Path(__file__).parents[2] / "sample_images" / "nodule.dcm"
    held = groundviz.open(CONTRAST).record
    image = groundviz.images.load(sample)
    saved = tmp_path / "saved.gvz"
    groundviz.Explanation(replace(held, source_images=(image,))).save(saved)
    return str(saved), str(sample)


def test_dicom_files_name_the_original(tmp_path: Path, capsys: Capture, from_dicom: tuple[str, str]) -> None:
    saved, sample = from_dicom
    places = [tmp_path / "map.dcm", tmp_path / "lines.gsps.dcm", tmp_path / "maps.csv"]
    to = [word for place in places for word in ("--to", str(place))]
    assert cli.main(["export", saved, *to, "--original", sample, "--method", "occlusion"]) == 0
    assert capsys.readouterr().out.splitlines() == ["Written:", *(f"  {place}" for place in places)]
    kinds = [groundviz.images.load(places[0]).source, places[1].read_bytes()[128:132]]
    assert kinds == ["dicom", b"DICM"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ([], "Give the DICOM file that was explained: --original FILE."),
        (
            ["--original", "sample", "--layer", "each"],
            "A DICOM file holds one map, and --layer names several",
        ),
        (["--original", "sample", "--target", "a", "--target", "b"], "--target names several"),
        (["--original", "sample", "--frame", "3"], "holds 1 frame"),
        (["--original", "saved"], "not an image of a known kind"),
    ],
)
def test_a_dicom_file_that_cannot_be_is_one_line(
    tmp_path: Path, capsys: Capture, from_dicom: tuple[str, str], asked: list[str], words: str
) -> None:
    saved, sample = from_dicom
    named = {"sample": sample, "saved": saved}
    place = tmp_path / "map.dcm"
    assert cli.main(["export", saved, "--to", str(place), *(named.get(one, one) for one in asked)]) == 2
    told = capsys.readouterr().err.split("\r")[-1].strip()
    assert words in told and "\n" not in told
    assert not place.exists()


def test_no_file_is_written_where_one_would_take_the_place_of_the_original(
    tmp_path: Path, capsys: Capture, from_dicom: tuple[str, str]
) -> None:
    saved, sample = from_dicom
    mine, first = tmp_path / "mine.dcm", tmp_path / "first.gsps.dcm"
    mine.write_bytes(Path(sample).read_bytes())
    to = ["--to", str(first), "--to", str(tmp_path / "." / "mine.dcm")]
    assert cli.main(["export", saved, *to, "--original", str(mine), "--overwrite"]) == 2
    assert "The original lies in that place" in capsys.readouterr().err
    assert mine.read_bytes() == Path(sample).read_bytes()
    assert not first.exists()
