"""The commands as a person types them."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import time
import warnings
import webbrowser
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import groundviz
from groundviz import cli
from groundviz.cli import asking, printing
from groundviz.demo import tour
from groundviz.demo.phantoms import phantom
from groundviz.demo.tour import STOPS
from groundviz.errors import ImageError
from groundviz.explanation import Explanation
from groundviz.models import FAMILIES
from groundviz.record.types import Samples
from scripts.export_samples import to_dicom
from tests.support import records

ROOT = Path(__file__).parents[2]
NODULE = ROOT / "sample_images" / "nodule.png"
QUESTION = "Where is the nodule?"

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return Explanation(records.record()).save(tmp_path / "chest.gvz")


@pytest.mark.parametrize("stops", [STOPS[1:4], pytest.param(STOPS, marks=pytest.mark.slow)])
def test_the_demo_answers_and_says_where_everything_is(
    stops: Sequence[tuple[str, str, str]], tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of the tour: `pytest -m slow tests/cli/test_cli.py`."""
    monkeypatch.setattr(tour, "STOPS", stops)
    folder = tmp_path / "new" / "demo"
    assert cli.main(["demo", "--out", str(folder)]) == 0
    out = capsys.readouterr().out
    head, *rows = out.splitlines()[: 1 + len(stops)]
    names = ["image", "question", "answer", "truth", "confidence", "needs the image"]
    assert re.split("  +", head.strip()) == names
    needs = head.index("needs the image")
    assert {row[needs:].split()[0] for row in rows} <= {"yes", "no"}
    # Columns are straight: whatever stands under "truth" starts where it does.
    assert all(row[head.index("truth") - 1] == " " != row[head.index("truth")] for row in rows)
    assert all(re.search(r"\d+%( |$)", row) for row in rows)
    assert sum("<- wrong" in row for row in rows) <= 1
    assert "not seen" in out
    named = {Path(line.strip()) for line in out.splitlines() if line.startswith("  ")}
    assert named == set(folder.iterdir())
    assert {path.suffix for path in named} == {".html", ".pdf", ".png", ".gvz"}
    assert len(list(folder.glob("*.gvz"))) == len(stops)
    page = (folder / "demo.html").read_text("utf-8")
    assert page.count("<article") == len(stops)
    # The viewer's own program, and the maps of each question, which no browser runs.
    carried = '<script type="application/octet-stream" data-gv-pack>'
    assert re.findall("<script[^>]*>", page) == [carried] * len(stops) + ["<script>"]
    assert not re.search(r"src=\"(?!data:)|href=", page)
    assert out.endswith(f"{printing.PHANTOMS_ONLY}\n{printing.NOT_A_DEVICE}\n")


def test_the_tour_asks_of_what_is_there_and_of_what_is_not() -> None:
    assert {kind for _, kind, _ in STOPS} == {"presence", "where", "side", "report"}
    assert ("nodule", "where", "effusion") in STOPS
    assert len({drawn for drawn, _, _ in STOPS}) == 3


def test_explain_writes_page_figures_and_record(tmp_path: Path, capsys: Capture) -> None:
    arguments = ["explain", str(NODULE), QUESTION, "--model", "demo", "--method", "attention"]
    assert (
        cli.main([*arguments, "--answer", "right upper zone", "--target", "upper", "--out", str(tmp_path)])
        == 0
    )
    out = capsys.readouterr().out
    assert f"question: {QUESTION}" in out
    assert "answer: right upper zone" in out
    assert "explained: upper" in out
    assert printing.PHANTOMS_ONLY in out
    assert {path.suffix for path in tmp_path.iterdir()} == {".html", ".pdf", ".png", ".gvz"}
    assert all(str(path) in out for path in tmp_path.iterdir())
    (saved,) = tmp_path.glob("*.gvz")
    kept = groundviz.open(saved)
    assert kept.methods == ("attention",)
    assert kept.answer.source == "given"
    assert kept.record.target.text == "upper"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What `explain` was asked for, answered at once by a record that somebody made by hand."""
    asked: list[dict[str, Any]] = []

    def explain(_: object, image: Any, question: str, **options: Any) -> Explanation:
        asked.append({"image": image, "question": question, **options})
        return Explanation(records.record(question=question))

    monkeypatch.setattr(groundviz, "load", lambda name: name)
    monkeypatch.setattr(groundviz, "explain", explain)
    return asked


@pytest.mark.wide
def test_files_are_named_after_image_methods_target_and_model_and_hold_no_name(tmp_path: Path) -> None:
    named = tmp_path / "Zzphi Doe 1961.png"
    named.write_bytes(NODULE.read_bytes())
    out = tmp_path / "out"
    arguments = ["explain", str(named), QUESTION, "--model", "demo", "--out", str(out)]
    assert cli.main([*arguments, "--target", "upper", "--method", "attention"]) == 0
    stems = {path.stem for path in out.iterdir()}
    assert len(stems) == 1
    assert re.fullmatch("zzphi-doe-1961_attention_upper_demo_[0-9a-f]{8}", stems.pop())
    held = b"".join(path.read_bytes() for path in out.iterdir()) + _unzipped(out)
    assert not re.search(rb"zzphi", held, re.IGNORECASE)


def _unzipped(folder: Path) -> bytes:
    held = b""
    for path in folder.glob("*.gvz"):
        with zipfile.ZipFile(path) as archive:
            held += b"".join(archive.read(name) for name in archive.namelist())
    return held


OTHERWISE = [
    [],
    ["--method", "occlusion"],
    ["--method", "occlusion", "--option", "occlusion.window=24"],
    ["--model", "elsewhere/other"],
    ["--target", "nodule"],
    ["--target", "nodule", "--target", "left"],
    ["--target", "left", "--against", "right"],
    ["--answer", "nodule in the left upper zone."],
    ["--seed", "1"],
    ["--frame", "0"],
    ["--window", "0.5,1"],
    ["--max-new-tokens", "9"],
    ["--system", "Be brief."],
    ["--label", "checkpoint A"],
    ["--name", "mine"],
    ["--image", str(NODULE)],
]


def test_whatever_else_is_asked_has_files_of_its_own(
    tmp_path: Path, quick: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking._Asked, "_draw", lambda *_: None)
    for number, more in enumerate(OTHERWISE, start=1):
        arguments = ["explain", str(NODULE), QUESTION, "--model", "demo", *more, "--out", str(tmp_path)]
        assert cli.main(arguments) == 0, more
        assert len(list(tmp_path.iterdir())) == number, more
    assert cli.main(["explain", str(NODULE), "Why?", "--model", "demo", "--out", str(tmp_path)]) == 0
    assert len(list(tmp_path.iterdir())) == len(OTHERWISE) + 1
    assert all(re.fullmatch(r"[a-z0-9+_-]{20,160}\.gvz", path.name) for path in tmp_path.iterdir())


def test_a_name_of_the_user_s_keeps_the_image_out_of_it(tmp_path: Path, quick: list[Any]) -> None:
    names = set()
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        named = tmp_path / place / "Jane Doe.png"
        named.write_bytes(
            NODULE.read_bytes() if place == "one" else NODULE.with_name("normal.png").read_bytes()
        )
        out = str(tmp_path / place / "out")
        arguments = ["explain", str(named), QUESTION, "--model", "demo", "--name", "Case 7", "--out", out]
        assert cli.main(arguments) == 0
        names |= {path.stem for path in Path(out).iterdir()}
    assert len(names) == 1, "neither pixels nor places nor names are part of it"
    assert names.pop().startswith("case-7_attention+gradient-attention_whole-answer_demo_")


def test_images_of_one_name_in_two_folders_do_not_get_in_each_other_s_way(
    tmp_path: Path, quick: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking._Asked, "_draw", lambda *_: None)
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "IM0001.png").write_bytes(NODULE.read_bytes())
        monkeypatch.chdir(tmp_path / place)
        assert cli.main(["explain", "IM0001.png", QUESTION, "--model", "demo", "--out", "../out"]) == 0
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_a_dotted_number_is_a_whole_name(tmp_path: Path, quick: list[Any]) -> None:
    image = tmp_path / "1.2.840.10008.7"
    image.write_bytes(NODULE.read_bytes())
    assert cli.main(["explain", str(image), QUESTION, "--model", "demo", "--out", str(tmp_path / "out")]) == 0
    assert all(path.name.startswith("1-2-840-10008-7_") for path in (tmp_path / "out").iterdir())


def test_nothing_is_overwritten_unasked_and_that_is_noticed_before_the_model_is_loaded(
    tmp_path: Path, quick: list[Any], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["explain", str(NODULE), QUESTION, "--model", "demo", "--out", str(tmp_path)]
    assert cli.main(arguments) == 0
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
    assert {path.suffix for path in before} == {".gvz", ".pdf", ".png", ".html"}
    monkeypatch.setattr(groundviz, "load", lambda name: pytest.fail("a model was loaded"))
    assert cli.main(arguments) == 2
    assert "Files of that name are there already" in capsys.readouterr().err
    for kept in before:
        others = [path for path in before if path != kept]
        for path in others:
            path.unlink()
        assert cli.main(arguments) == 2, f"{kept.suffix} alone is in the way"
        for path in others:
            path.write_bytes(before[path][0])
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == {p: c for p, (c, _) in before.items()}
    monkeypatch.setattr(groundviz, "load", lambda name: name)
    assert cli.main([*arguments, "--overwrite"]) == 0
    assert set(tmp_path.iterdir()) == set(before)
    assert len(quick) == 2


@pytest.mark.wide
def test_a_record_is_kept_although_its_name_was_taken_in_the_meantime(
    tmp_path: Path, quick: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["explain", str(NODULE), QUESTION, "--model", "demo", "--out", str(tmp_path)]
    explain = groundviz.explain

    def overtaken(*given: Any, **options: Any) -> Explanation:
        monkeypatch.setattr(groundviz, "explain", explain)
        assert cli.main(arguments) == 0
        return explain(*given, **options)

    monkeypatch.setattr(groundviz, "explain", overtaken)
    assert cli.main(arguments) == 0
    first, second = sorted(path.stem for path in tmp_path.glob("*.gvz"))
    assert second == f"{first}-2"
    assert len(list(tmp_path.iterdir())) == 8


def test_a_folder_that_takes_no_file_is_noticed_before_the_model_is_loaded(
    tmp_path: Path, quick: list[Any], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(**_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("tempfile.mkstemp", read_only)
    monkeypatch.setattr(groundviz, "load", lambda name: pytest.fail("a model was loaded"))
    assert cli.main(["explain", str(NODULE), QUESTION, "--model", "demo", "--out", str(tmp_path)]) == 2
    assert "cannot be written to: Read-only file system" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["figure", "to_html"])
def test_the_record_is_there_although_drawing_fails(
    tmp_path: Path, quick: list[Any], capsys: Capture, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ImageError("It cannot be drawn.")

    monkeypatch.setattr(Explanation, what, fail)
    assert cli.main(["explain", str(NODULE), QUESTION, "--model", "demo", "--out", str(tmp_path)]) == 2
    (record,) = tmp_path.glob("*.gvz")
    assert groundviz.open(record).question == QUESTION
    told = capsys.readouterr()
    assert all(f"  {path}\n" in told.out for path in tmp_path.iterdir())
    assert "It cannot be drawn." in told.err


def test_the_demo_overwrites_nothing_unasked(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tour, "STOPS", STOPS[:1])
    (tmp_path / "1-nodule-where.pdf").write_text("mine")
    monkeypatch.setattr(groundviz, "load", lambda name: pytest.fail("a model was loaded"))
    assert cli.main(["demo", "--out", str(tmp_path)]) == 2
    assert "A file of that name is there already." in capsys.readouterr().err
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_open_overwrites_no_page_unasked(record: Path, tmp_path: Path, capsys: Capture) -> None:
    page = tmp_path / "page.html"
    page.write_text("mine")
    assert cli.main(["open", str(record), "--out", str(page), "--no-browser"]) == 2
    assert page.read_text() == "mine"
    assert cli.main(["open", str(record), "--out", str(page), "--no-browser", "--overwrite"]) == 0
    assert page.read_text("utf-8").startswith("<!DOCTYPE html>")


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    """A folder as one finds them: images, a list of a disc's files, notes, a damaged file, a folder."""
    folder = tmp_path / "ward"
    (folder / "older").mkdir(parents=True)
    (folder / "older" / "scan.png").write_bytes(NODULE.read_bytes())
    (folder / "b.png").write_bytes(NODULE.read_bytes())
    (folder / "a.dcm").write_bytes(to_dicom(phantom(3)))
    (folder / "damaged.png").write_bytes(NODULE.read_bytes()[:2000])
    (folder / "empty.png").write_bytes(b"")
    (folder / "notes.txt").write_text("Jane Doe, 1961")
    (folder / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + bytes(9))
    return folder


@pytest.mark.wide
def test_each_image_of_a_folder_is_asked_about_and_a_bad_one_stops_nobody(
    ward: Path, tmp_path: Path, quick: list[dict[str, Any]], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(groundviz, "load", lambda name: loaded.append(name) or name)
    out = tmp_path / "out"
    arguments = ["explain", str(ward), "--model", "demo", QUESTION, "--out", str(out), "--window", "0.5,1"]
    assert cli.main(arguments) == 1
    assert loaded == ["demo"]
    assert [[source_image.source for source_image in asked["image"]] for asked in quick] == [
        ["dicom"],
        ["png"],
    ]
    assert all(source_image.window == (0.5, 1.0) for asked in quick for source_image in asked["image"])
    told = capsys.readouterr()
    errors = [line.split("\r")[-1].strip() for line in told.err.splitlines() if "groundviz: error" in line]
    assert [re.search(r"error: (image \d of 4 \(.+?\)): ", line)[1] for line in errors] == [
        "image 3 of 4 (damaged.png)",
        "image 4 of 4 (empty.png)",
    ]
    assert "3 things that are no images were left out" in told.err
    assert re.search(r"^image 1 of 4 \(a\.dcm\): nodule in the left upper zone\. \(", told.out, re.MULTILINE)
    assert f"\n2 of 4 explained, 2 failed. Records, figures and pages are in:\n  {out}\n" in told.out
    stems = sorted(path.stem.split("_")[0] for path in out.glob("*.gvz"))
    assert stems == ["a", "b"]
    assert len(list(out.iterdir())) == 8


def test_what_is_there_of_a_folder_is_left_as_it_is(
    ward: Path,
    tmp_path: Path,
    quick: list[dict[str, Any]],
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asking._Asked, "_draw", lambda *_: None)
    arguments = ["explain", str(ward / "b.png"), str(ward / "a.dcm"), QUESTION, "--model", "demo"]
    arguments += ["--out", str(tmp_path / "out")]
    assert cli.main(arguments) == 0
    assert cli.main(arguments) == 0
    assert len(quick) == 2
    assert "the results of 2 of 2 are there already" in capsys.readouterr().err
    assert cli.main([*arguments, "--overwrite"]) == 0
    assert len(quick) == 4


def test_images_that_share_a_name_of_the_user_s_are_numbered_and_not_named_on_the_screen(
    ward: Path, tmp_path: Path, quick: list[Any], capsys: Capture
) -> None:
    out = tmp_path / "out"
    given = [str(ward / "b.png"), str(ward / "damaged.png")]
    arguments = ["explain", *given, QUESTION, "--model", "demo", "--name", "Case", "--out", str(out)]
    assert cli.main(arguments) == 1
    assert all(path.name.startswith("case-1_") for path in out.iterdir())
    told = capsys.readouterr()
    assert "damaged.png" not in told.out + told.err
    assert "image 2 of 2: " in told.err


def test_where_no_image_will_do_the_exit_code_says_so(ward: Path, tmp_path: Path, quick: list[Any]) -> None:
    bad = [str(ward / "damaged.png"), str(ward / "empty.png"), str(ward / "missing.png")]
    assert cli.main(["explain", *bad, QUESTION, "--model", "demo", "--out", str(tmp_path / "out")]) == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["b.png", "a.dcm"], "The question is the name of a file that exists"),
        (["b.png", "a.dcm", QUESTION, "--image", "b.png"], "--image adds to the one image"),
        (["older/..", QUESTION, "--frame", "0", "--frame", "0"], "more frames than images: 2 against 1"),
        (["b.png", QUESTION, "--window", "1,2", "--window", "1,2"], "more windows than images: 2 against 1"),
        (["b.png", QUESTION, "--window", "40,0"], "The window cannot be used"),
        (["b.png", QUESTION, "--option", "rise.masks=3"], "'rise', which is not asked for"),
        (["b.png", QUESTION, "--method", "rise", "--option", "rise.masks=abc"], "cannot take masks='abc'"),
        (["b.png", QUESTION, "--method", "rise", "--option", "rise.masks=true"], "cannot take masks=True"),
        (["b.png", QUESTION, "--method", "rise", "--option", "rise.fill=3"], "cannot take fill=3"),
        (["b.png", QUESTION, "--method", "rise", "--option", "rise.mask=3"], "rise has no option 'mask'"),
        (["", QUESTION], "A folder was given where an image file is expected"),
        (["\udcff.png", QUESTION], "could not be opened"),
        (["x" * 300, QUESTION], "could not be opened"),
    ],
)
def test_what_cannot_be_meant_is_one_line_before_the_model_is_loaded(
    arguments: list[str], says: str, ward: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ward)
    monkeypatch.setattr(groundviz, "load", lambda name: pytest.fail("a model was loaded"))
    code = cli.main(["explain", *arguments, "--model", "demo", "--out", "../out"])
    told = capsys.readouterr()
    assert code == 2
    assert says in told.err
    assert "Traceback" not in told.err


def test_an_empty_folder_is_an_error(tmp_path: Path, capsys: Capture) -> None:
    assert cli.main(["explain", str(tmp_path), QUESTION, "--model", "demo"]) == 2
    assert "There is no image in the folder itself. Give" in capsys.readouterr().err
    for number, says in enumerate(("one folder in it is not opened.", "2 folders in it are not opened."), 1):
        (tmp_path / str(number)).mkdir()
        assert cli.main(["explain", str(tmp_path), QUESTION, "--model", "demo"]) == 2
        assert f"no image in the folder itself, and {says} Give" in capsys.readouterr().err


@pytest.mark.parametrize(
    "more",
    [
        ["--frame", "-1"],
        ["--frame", "two"],
        ["--frame", "9" * 30],
        ["--window", "40"],
        ["--window", "40,nan"],
        ["--window", "a,b"],
        ["--seed", "-1"],
        ["--seed", str(1 << 63)],
        ["--beams", "0"],
        ["--max-new-tokens", "1.5"],
        ["--temperature", "0"],
        ["--temperature", "inf"],
        ["--top-p", "1.1"],
        ["--generation", "max_new_tokens"],
        ["--generation", "=3"],
        ["--generation", "num_beams=2", "--beams", "3"],
        ["--option", "masks=3"],
    ],
)
def test_values_that_make_no_sense_are_wrong_usage(more: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["explain", str(NODULE), QUESTION, "--model", "demo", *more])
    assert ended.value.code == 2
    assert more[0].removeprefix("--").split("-")[0] in capsys.readouterr().err


@pytest.mark.wide
def test_options_reach_explain_and_nothing_else_does(tmp_path: Path, quick: list[dict[str, Any]]) -> None:
    arguments = ["explain", str(NODULE), QUESTION, "--model", "demo", "--method", "attention"]
    assert cli.main([*arguments, "--out", str(tmp_path)]) == 0
    assert quick[-1].keys() == {"image", "question", "methods"}
    more = (
        "--method rise --option rise.masks=64 --option rise.fill=mean --max-new-tokens 20 --temperature .7 "
        '--top-p 0.9 --generation repetition_penalty=1.2 --generation stop_strings=["."] --seed 3 '
        "--no-certify --window -600,1500"
    ).split()
    texts = ["--system", "Be brief.", "--label", "checkpoint A"]
    assert cli.main([*arguments, *more, *texts, "--out", str(tmp_path)]) == 0
    asked = quick[-1]
    assert asked["image"][0].window == (-600.0, 1500.0)
    assert {"masks": 64, "cells": 7, "fill": "mean"}.items() <= asked["methods"]["rise"].items()
    assert asked["generation"] == {
        "max_new_tokens": 20,
        "temperature": 0.7,
        "top_p": 0.9,
        "do_sample": True,
        "repetition_penalty": 1.2,
        "stop_strings": ["."],
    }
    assert (asked["system"], asked["label"], asked["seed"]) == ("Be brief.", "checkpoint A", 3)
    assert asked["certify"] is False
    assert cli.main([*arguments, "--beams", "4", "--sample", "--out", str(tmp_path)]) == 0
    assert quick[-1]["generation"] == {"num_beams": 4, "do_sample": True}


@pytest.mark.wide
def test_further_images_are_given_along_and_printed(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []

    def explain(_: object, image: Any, *__: object, **___: object) -> Explanation:
        given.append(image)
        return Explanation(records.pair())

    monkeypatch.setattr(groundviz, "explain", explain)
    prior = ROOT / "sample_images" / "normal.png"
    dicom = tmp_path / "x.dcm"
    dicom.write_bytes(to_dicom(phantom(3)))
    arguments = ["explain", str(NODULE), QUESTION, "--model", "demo", "--out", str(tmp_path / "out")]
    more = ["--image", str(prior), "--image", str(dicom)]
    assert cli.main([*arguments, *more, "--frame", "0", "--frame", "0", "--frame", "0"]) == 0
    assert [source_image.source for source_image in given[0]] == ["png", "png", "dicom"]
    assert given[0][1].sha256 == groundviz.images.load(prior).sha256
    out = capsys.readouterr().out
    assert "image 1 of 2: 96 by 96 pixels, from array\n" in out
    assert "image 2 of 2: 60 by 120 pixels, from array\n  shown inverted (MONOCHROME1).\n" in out
    assert len(re.findall(r"Attention for .* on image \d of 2: ", out)) == 2
    assert cli.main([*arguments, "--image", str(prior)]) == 0
    names = {path.stem for path in (tmp_path / "out").iterdir()}
    assert len(names) == 2, "other images are another result"


def test_there_is_no_frame_without_an_image(capsys: Capture) -> None:
    frames = ["--frame", "0", "--frame", "1"]
    assert cli.main(["explain", str(NODULE), QUESTION, "--model", "demo", *frames]) == 2
    assert "more frames than images: 2 against 1" in capsys.readouterr().err


def test_a_frame_can_be_chosen(tmp_path: Path, capsys: Capture) -> None:
    dicom = tmp_path / "x.dcm"
    dicom.write_bytes(to_dicom(phantom(3)))
    assert cli.main(["explain", str(dicom), QUESTION, "--model", "demo", "--frame", "7"]) == 2
    assert "frame" in capsys.readouterr().err.lower()


@pytest.fixture(autouse=True)
def visited(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that a browser was asked to show; no browser starts."""
    asked: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: asked.append(address) or True)
    return asked


@pytest.mark.wide
def test_open_prints_everything_and_shows_the_page(record: Path, capsys: Capture, visited: list[str]) -> None:
    before = set(record.parent.iterdir())
    assert cli.main(["open", str(record)]) == 0
    out = capsys.readouterr().out
    held = groundviz.open(record)
    assert f"question: {held.question}" in out
    assert f"answer: {held.answer.text}" in out
    for token in held.tokens:
        assert re.search(rf"^ +{re.escape(token.strip())} +[<> ]*\d+%$", out, re.MULTILINE)
    assert all(f"{method.replace('_', ' ').capitalize()} for" in out for method in held.methods)
    assert "groundviz/demo" in out
    assert "seed 0" in out
    page = Path(out.splitlines()[-1].strip())
    assert out.splitlines()[-2] == "In the browser:"
    assert visited == [page.as_uri()]
    assert page.read_text("utf-8") == held.to_html()
    assert page.stat().st_mode & 0o077 == 0
    assert set(record.parent.iterdir()) == before
    page.unlink()


def test_open_writes_the_page_where_it_is_told(record: Path, tmp_path: Path, visited: list[str]) -> None:
    page = tmp_path / "elsewhere.html"
    assert cli.main(["open", str(record), "--out", str(page)]) == 0
    assert visited == [page.as_uri()]
    assert page.read_text("utf-8").startswith("<!DOCTYPE html>")


def test_without_a_browser_open_says_where_the_page_is(
    record: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, visited: list[str]
) -> None:
    page = str(tmp_path / "page.html")
    assert cli.main(["open", str(record), "--out", page, "--no-browser"]) == 0
    assert visited == []
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    assert cli.main(["open", str(record), "--out", page, "--overwrite"]) == 0
    printed = capsys.readouterr().out
    assert printed.count(f"Open this in a browser:\n  {page}\n") == 2
    assert "In the browser" not in printed


def test_open_needs_neither_torch_nor_transformers(record: Path) -> None:
    page = str(record.with_suffix(".html"))
    code = (
        "import sys\n"
        "sys.modules['torch'] = sys.modules['transformers'] = None\n"
        "from groundviz.cli import main\n"
        f"sys.exit(main(['open', {str(record)!r}, '--out', {page!r}, '--no-browser']))"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert records.QUESTION in ran.stdout


def test_what_a_record_says_cannot_command_the_terminal(tmp_path: Path, capsys: Capture) -> None:
    sly = Explanation(records.record(question="\x1b[2JIs it \u202egone?", words=("\x1b]0;title\x07", " yes")))
    assert cli.main(["open", str(sly.save(tmp_path / "sly.gvz")), "--out", str(tmp_path / "sly.html")]) == 0
    out = capsys.readouterr().out
    assert not set("\x1b\x07\u202e") & set(out)


def test_methods_are_listed_with_unit_and_cost(capsys: Capture) -> None:
    assert cli.main(["methods"]) == 0
    out = capsys.readouterr().out
    for name in groundviz.METHODS:
        assert re.search(rf"^{name}( \(default\))?$", out, re.MULTILINE)
    assert out.count("unit: ") == out.count("cost: ") == len(list(groundviz.METHODS))
    assert "not stated" not in out
    assert "unit: nats\n  cost: one forward and one backward pass over the answer's tokens" in out


def test_models_are_listed_with_what_they_load(capsys: Capture) -> None:
    assert cli.main(["models"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^demo$", out, re.MULTILINE)
    listed = re.findall(r"^(\w+) \(family\)\n  (.+)\n  (.+)\n  such as (.+)$", out, re.MULTILINE)
    assert [name for name, *_ in listed] == [name for name in FAMILIES if name not in ("measured", "unknown")]
    assert "measured (family)\n  Any other model whose image becomes tokens of its prompt" in out
    assert dict((name, classes) for name, _, classes, _ in listed)["llava"] == "LlavaForConditionalGeneration"
    assert all("ForConditionalGeneration" in classes and "/" in such for _, _, classes, such in listed)
    layouts = re.findall(r"^(\w+) \(layout\)", out, re.MULTILINE)
    assert layouts == ["llava_med", "llava_med_delta", "llava_rad", "med_moe", "tinyllava"]
    assert "untested until somebody runs `groundviz certify MODEL`" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["explain", "no-such.png", "Why?", "--model", "demo"], "could not be opened"),
        (["explain", str(NODULE), "  ", "--model", "demo"], "question is empty"),
        (
            ["explain", str(NODULE), "Why?", "--model", "demo", "--method", "atention"],
            "Did you mean 'attention'",
        ),
        (
            ["explain", str(NODULE), "Why?", "--model", "demo", "--target", "zebra"],
            "does not contain 'zebra'",
        ),
        (["explain", str(NODULE), "Why?", "--model", str(ROOT / "tests")], "No model could be loaded"),
        (["open", str(NODULE)], "not an intact groundviz record"),
        (["open", "no-such.gvz"], "could not be opened"),
    ],
)
def test_an_error_is_one_line_and_exit_code_2(
    arguments: list[str], says: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    complaint = captured.err.splitlines()[-1].split("\r")[-1]
    assert complaint.strip("\x1b[A ").startswith("groundviz: error: ")
    assert says in complaint
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "file").write_text("in the way")
    assert cli.main(["demo", "--out", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.startswith("groundviz: error: The output folder could not be made: ")


def test_a_model_is_certified(capsys: Capture) -> None:
    assert cli.main(["certify", "demo", "--image", str(NODULE)]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.startswith("demo (llava): certified, in ")
    assert all(line.startswith("  ") and line.endswith(".") for line in lines)
    rows, cols = groundviz.images.load(NODULE).shape
    assert lines[-1] == f"  Never seen: 0% of {rows} by {cols} pixels."


def test_a_model_that_is_not_certified_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    whole = groundviz.certify("demo")
    wrong = replace(whole.checks[0], verdict="geometry off by up to 2.3 patches")
    monkeypatch.setattr(groundviz, "certify", lambda model, shapes: replace(whole, checks=(wrong,)))
    assert cli.main(["certify", "demo"]) == 1
    assert capsys.readouterr().out.startswith("demo (llava): geometry off by up to 2.3 patches, in ")


def test_an_error_of_several_lines_becomes_one(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ImageError("First line.\nSecond\x1b[2J line.")

    monkeypatch.setattr("groundviz.images.load", fail)
    assert cli.main(["explain", "x.png", "Why?", "--model", "demo"]) == 2
    assert capsys.readouterr().err == "groundviz: error: First line. Second␛[2J line.\n"


@pytest.mark.wide
@pytest.mark.parametrize("several", [False, True])
def test_interrupted_maps_are_written_marked_and_exit_code_130(
    several: bool, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = records.record()
    part = replace(whole.heatmaps[1], samples=Samples(done=112, asked=480))
    broken = replace(whole, heatmaps=(whole.heatmaps[0], part), unmeasured=("rise",))
    monkeypatch.setattr(groundviz, "load", lambda name: name)
    monkeypatch.setattr(groundviz, "explain", lambda *_, **__: Explanation(broken))
    images = [str(NODULE), str(NODULE.with_name("normal.png"))] if several else [str(NODULE)]
    assert cli.main(["explain", *images, QUESTION, "--model", "demo", "--out", str(tmp_path)]) == 130
    told = capsys.readouterr()
    assert "112 of 480" in told.out
    assert re.search(r"RISE .*never ran", told.out)
    assert "groundviz: interrupted: what was measured until then is written, and is incomplete\n" in told.err
    (saved,) = tmp_path.glob("*.gvz")
    assert groundviz.open(saved).record.unmeasured == ("rise",)
    assert len(list(tmp_path.iterdir())) == 4
    assert ("1 of 2 explained, 1 not asked about." in told.out) == several


def test_an_interrupt_between_images_keeps_those_that_are_done(
    ward: Path, tmp_path: Path, quick: list[Any], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    explain = groundviz.explain

    def second(*given: Any, **options: Any) -> Explanation:
        if quick:
            raise KeyboardInterrupt
        return explain(*given, **options)

    monkeypatch.setattr(groundviz, "explain", second)
    assert (
        cli.main(["explain", str(ward), QUESTION, "--model", "demo", "--out", str(tmp_path / "out")]) == 130
    )
    told = capsys.readouterr()
    assert "1 of 4 explained, 3 not asked about." in told.out
    assert told.err.endswith("groundviz: interrupted\n")
    assert len(list((tmp_path / "out").iterdir())) == 4


def test_an_answer_that_was_cut_off_is_marked_and_the_label_is_told(tmp_path: Path, capsys: Capture) -> None:
    whole = records.record()
    known = replace(whole, label="checkpoint A", answer=replace(whole.answer, finished=False))
    place = Explanation(known).save(tmp_path / "x.gvz")
    assert cli.main(["open", str(place), "--no-browser", "--out", str(tmp_path / "x.html")]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^answer: .*\(.*cut off by its length\)$", out, re.MULTILINE)
    assert out.startswith("label: checkpoint A\n")


@pytest.mark.wide
def test_warnings_are_one_line_without_a_place_in_the_code(
    quick: list[Any], tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    explain = groundviz.explain

    def warned(*given: Any, **options: Any) -> Explanation:
        warnings.simplefilter("always")
        warnings.warn("Maps may\nlie elsewhere.", RuntimeWarning, stacklevel=2)
        return explain(*given, **options)

    monkeypatch.setattr(groundviz, "explain", warned)
    assert cli.main(["explain", str(NODULE), QUESTION, "--model", "demo", "--out", str(tmp_path)]) == 0
    assert "groundviz: warning: Maps may lie elsewhere.\n" in capsys.readouterr().err


# As a terminal's commands run: an unbuffered writer learns at another moment that nobody reads.
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
PIPED = """
import os, sys
import groundviz
from groundviz import cli
{before}
sys.exit(cli.main({arguments!r}))
"""


def _read_by_nobody(arguments: list[str], before: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command whose reader has left before it writes a word."""
    reading, writing = os.pipe()
    os.close(reading)
    code = PIPED.format(arguments=arguments, before=before)
    try:
        return subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=BUFFERED,
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        os.close(writing)


@pytest.mark.parametrize("arguments", [["--help"], ["explain", "--help"], ["--version"]])
def test_nothing_is_printed_for_a_reader_who_left(arguments: list[str]) -> None:
    ran = _read_by_nobody(arguments)
    assert (ran.returncode, ran.stderr) == (141, "")


@pytest.mark.wide
def test_files_are_whole_although_nobody_reads_what_is_printed(record: Path, tmp_path: Path) -> None:
    before = (
        "from groundviz.explanation import open as opened\n"
        "groundviz.load = lambda name: name\n"
        f"groundviz.explain = lambda *_, **__: opened({str(record)!r})"
    )
    out = tmp_path / "out"
    ran = _read_by_nobody(["explain", str(NODULE), QUESTION, "--model", "demo", "--out", str(out)], before)
    assert ran.returncode == 141
    assert "Traceback" not in ran.stderr
    assert "Exception ignored" not in ran.stderr
    assert {path.suffix for path in out.iterdir()} == {".gvz", ".pdf", ".png", ".html"}


def test_a_full_disk_behind_the_output_is_an_error() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    code = PIPED.format(arguments=["--help"], before="")
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=BUFFERED,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert ran.returncode == 2
    assert ran.stderr == (
        "groundviz: error: The output could not be written: No space left on device. "
        "Send it to another place.\n"
    )


@pytest.mark.parametrize("delay", [0.5, *(pytest.param(one, marks=pytest.mark.wide) for one in (0.05, 2.0))])
def test_ctrl_c_is_one_line_wherever_it_comes(delay: float, tmp_path: Path) -> None:
    """At moments spread over a whole command, from the first import on: never a traceback, never a part."""
    code = (
        "import signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from groundviz import cli\nprint('ready', flush=True)\nsys.exit(cli.main(sys.argv[1:]))"
    )
    arguments = ["explain", str(NODULE), QUESTION, "--model", "demo", "--method", "attention", "--no-certify"]
    out = tmp_path / "out"
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments, "--out", str(out)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    if process.returncode == 0:  # It was done before.
        return
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert err.split("\r")[-1].strip().endswith("groundviz: interrupted")
    for path in out.glob("*") if out.exists() else ():
        assert path.suffix in {".gvz", ".pdf", ".png", ".html"}
        if path.suffix == ".gvz":
            assert groundviz.open(path).question == QUESTION


def test_an_interruption_is_exit_code_130(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("groundviz.images.load", interrupt)
    assert cli.main(["explain", "x.png", "Why?", "--model", "demo"]) == 130
    assert capsys.readouterr().err == "groundviz: interrupted\n"


@pytest.mark.parametrize("kind", [ImportError, ImageError])
def test_an_error_that_a_library_makes_of_an_interruption_is_one(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        raise kind("half imported")

    monkeypatch.setattr("groundviz.images.load", interrupt)
    assert cli.main(["explain", "x.png", "Why?", "--model", "demo"]) == 130
    assert capsys.readouterr().err == "groundviz: interrupted\n"


@pytest.mark.parametrize(
    "arguments", [[], ["frobnicate"], ["explain", "x.png"], ["explain", "x.png", "Why?"]]
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert "usage: groundviz" in capsys.readouterr().err


def test_what_takes_long_shows_that_it_is_under_way(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(printing, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with printing.working("Pondering"):
        time.sleep(1.6)
    assert "Pondering: 00:01" in capsys.readouterr().err


def test_a_pipe_or_a_file_gets_no_bars(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(printing, "PATIENCE_SECONDS", 0.1)
    with printing.working("Pondering"):
        assert list(printing.counted("ab", "Explaining", 2)) == ["a", "b"]
        time.sleep(1.2)
    assert capsys.readouterr().err == ""


def test_an_interruption_waits_until_libraries_are_imported_and_is_not_forgotten() -> None:
    before = signal.getsignal(signal.SIGINT)
    imported = False
    with pytest.raises(KeyboardInterrupt), printing.importing("Loading"):
        signal.raise_signal(signal.SIGINT)
        imported = True
    assert imported
    assert signal.getsignal(signal.SIGINT) is before


def test_what_is_quick_shows_nothing(capsys: Capture) -> None:
    with printing.working("Blinking"):
        pass
    assert capsys.readouterr().err == ""


def test_characters_the_terminal_cannot_show_are_spelled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (tmp_path / "out").open("w", encoding="ascii") as narrow:
        monkeypatch.setattr(sys, "stdout", narrow)
        printing.say("5 µm")
    assert (tmp_path / "out").read_text("ascii") == "5 \\xb5m\n"
