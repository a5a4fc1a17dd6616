"""The commands as a person types them."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import webbrowser
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import groundviz
from groundviz import cli
from groundviz.demo import tour
from groundviz.demo.export import to_dicom
from groundviz.demo.phantoms import phantom
from groundviz.demo.tour import STOPS
from groundviz.errors import ImageError
from groundviz.explanation import Explanation
from groundviz.models import FAMILIES
from tests import records

ROOT = Path(__file__).parents[1]
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
    """All of the tour: `pytest -m slow tests/test_cli.py`."""
    monkeypatch.setattr(tour, "STOPS", stops)
    folder = tmp_path / "new" / "demo"
    assert cli.main(["demo", "--out", str(folder)]) == 0
    out = capsys.readouterr().out
    head, *rows = out.splitlines()[: 1 + len(stops)]
    assert head.split() == ["picture", "question", "answer", "truth", "confidence"]
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
    assert out.endswith(f"{cli.PHANTOMS_ONLY}\n{cli.NOT_A_DEVICE}\n")


def test_the_tour_asks_of_what_is_there_and_of_what_is_not() -> None:
    assert {kind for _, kind, _ in STOPS} == {"presence", "where", "side", "report"}
    assert ("nodule", "where", "effusion") in STOPS
    assert len({picture for picture, _, _ in STOPS}) == 3


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
    assert cli.PHANTOMS_ONLY in out
    assert {path.suffix for path in tmp_path.iterdir()} == {".html", ".pdf", ".png", ".gvz"}
    assert all(str(path) in out for path in tmp_path.iterdir())
    (saved,) = tmp_path.glob("*.gvz")
    kept = groundviz.open(saved)
    assert kept.methods == ("attention",)
    assert kept.answer.source == "given"
    assert kept.record.target.text == "upper"


def test_results_are_not_named_after_the_image(tmp_path: Path) -> None:
    named = tmp_path / "Jane Doe 1961.png"
    named.write_bytes(NODULE.read_bytes())
    out = tmp_path / "out"
    assert cli.main(["explain", str(named), QUESTION, "--model", "demo", "--out", str(out)]) == 0
    assert all(path.name.startswith("where-is-the-nodule-") for path in out.iterdir())
    assert not any(b"Jane" in path.read_bytes() for path in out.iterdir())


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
    assert [study.source for study in given[0]] == ["png", "png", "dicom"]
    assert given[0][1].sha256 == groundviz.images.load(prior).sha256
    out = capsys.readouterr().out
    assert "image 1 of 2: 96 by 96 pixels, from array\n" in out
    assert "image 2 of 2: 60 by 120 pixels, from array\n  shown inverted (MONOCHROME1).\n" in out
    assert len(re.findall(r"Attention for .* on image \d of 2: ", out)) == 2
    monkeypatch.setattr(cli, "_keep_figure", lambda figure, stem: [])
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
    assert cli.main(["open", str(record), "--out", page]) == 0
    said = capsys.readouterr().out
    assert said.count(f"Open this in a browser:\n  {page}\n") == 2
    assert "In the browser" not in said


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
    assert [name for name, *_ in listed] == [name for name in FAMILIES if name != "unknown"]
    assert dict((name, classes) for name, _, classes, _ in listed)["llava"] == "LlavaForConditionalGeneration"
    assert all("ForConditionalGeneration" in classes and "/" in such for _, _, classes, such in listed)
    layouts = re.findall(r"^(\w+) \(layout\)", out, re.MULTILINE)
    assert layouts == ["llava_med", "llava_med_delta", "llava_rad", "med_moe", "tinyllava"]
    assert "unproved until somebody runs `groundviz certify MODEL`" in out


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


def test_an_interruption_is_exit_code_130(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

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
    monkeypatch.setattr(cli, "PATIENCE_SECONDS", 0.5)
    with cli._working("Pondering"):
        time.sleep(1.6)
    assert "Pondering: 00:01" in capsys.readouterr().err


def test_what_is_quick_shows_nothing(capsys: Capture) -> None:
    with cli._working("Blinking"):
        pass
    assert capsys.readouterr().err == ""


def test_characters_the_terminal_cannot_show_are_spelled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (tmp_path / "out").open("w", encoding="ascii") as narrow:
        monkeypatch.setattr(sys, "stdout", narrow)
        cli._say("5 µm")
    assert (tmp_path / "out").read_text("ascii") == "5 \\xb5m\n"
