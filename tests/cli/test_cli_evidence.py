"""The command line says whether an answer needs the image, and puts maps to the test when asked to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import groundviz
from groundviz import cli
from groundviz.cli import asking
from groundviz.explanation import Explanation
from groundviz.record.evidence import ABSENCE, SAYS_NOTHING
from groundviz.record.types import Samples
from tests.support import records

NODULE = Path(__file__).parents[2] / "sample_images" / "nodule.png"
ASKED = ["explain", str(NODULE), "Where is the nodule?", "--model", "demo", "--method", "attention"]
CHALLENGED = records.checked(records.record(), "yes", attention="shown", occlusion="not shown")

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records alone: how they are drawn is tested elsewhere."""
    monkeypatch.setattr(asking._Asked, "_draw", lambda *_: None)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What `explain` and `challenge` were asked for, answered at once by records made by hand."""
    asked: list[tuple[str, dict[str, Any]]] = []

    def explain(*_: object, **options: Any) -> Explanation:
        asked.append(("explain", options))
        return Explanation(records.checked(records.record(), "yes"))

    def challenge(*_: object, **options: Any) -> Explanation:
        asked.append(("challenge", options))
        return Explanation(CHALLENGED)

    monkeypatch.setattr(groundviz, "load", lambda name: name)
    monkeypatch.setattr(groundviz, "explain", explain)
    monkeypatch.setattr(groundviz, "challenge", challenge)
    return asked


def _saved(folder: Path) -> Explanation:
    (record,) = folder.glob("*.gvz")
    return groundviz.open(record)


@pytest.mark.parametrize(
    ("more", "extent", "challenged"),
    [
        ([], "quick", None),
        (["--evidence", "quick"], "quick", None),
        (["--evidence", "full"], "full", None),
        (["--evidence", "none"], None, None),
        (["--challenge"], "quick", {}),
        (["--challenge", "--copies", "99"], "quick", {"copies": 99}),
        (["--challenge", "--evidence", "full"], "quick", {}),
        (["--challenge", "--evidence", "none"], None, {}),
    ],
)
def test_what_is_typed_reaches_explain_and_challenge(
    more: list[str], extent: str | None, challenged: object, tmp_path: Path, calls: Any
) -> None:
    assert cli.main([*ASKED, *more, "--out", str(tmp_path)]) == 0
    assert calls[0][1].get("evidence", "quick") == extent
    assert [options for name, options in calls[1:]] == ([] if challenged is None else [challenged])


def test_the_line_stands_under_the_answer_and_what_was_found_is_saved(
    tmp_path: Path, capsys: Capture, calls: Any
) -> None:
    assert cli.main([*ASKED, "--challenge", "--out", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("answer: "))
    found = "needs the marked place: shown (Attention), not shown (Occlusion)"
    assert lines[at + 1] == f"evidence: needs the image: yes · {found}"
    assert lines[at + 2].startswith("  Attention: Covering the marked place weakens the answer more")
    assert lines[at + 4] == f"  {SAYS_NOTHING}"
    assert "  marked_place of occlusion: not shown. The place was covered." in lines
    assert _saved(tmp_path).evidence.marked_place == {"attention": "shown", "occlusion": "not shown"}


def test_a_saved_file_is_told_in_the_same_words_and_an_old_one_says_not_measured(
    tmp_path: Path, capsys: Capture
) -> None:
    for record, words in (
        (records.checked(records.record(), "no"), ("needs the image: no", ABSENCE)),
        (replace(records.record(), checks=()), ("needs the image: not measured", SAYS_NOTHING)),
    ):
        saved = Explanation(record).save(tmp_path / "case.gvz", overwrite=True)
        page = str(tmp_path / "page.html")
        assert cli.main(["open", str(saved), "--no-browser", "--out", page, "--overwrite"]) == 0
        out = capsys.readouterr().out
        assert all(one in out for one in words)


def test_of_several_images_each_has_its_line(tmp_path: Path, capsys: Capture, calls: Any) -> None:
    other = tmp_path / "other.png"
    other.write_bytes(NODULE.read_bytes())
    assert cli.main([ASKED[0], str(other), *ASKED[1:], "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.count("evidence: needs the image: yes · ") == 2


def test_an_interruption_of_the_challenge_keeps_the_maps(
    tmp_path: Path, capsys: Capture, calls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(groundviz, "challenge", stopped)
    assert cli.main([*ASKED, "--challenge", "--out", str(tmp_path)]) == 130
    assert _saved(tmp_path).evidence.needs_image is True
    assert "evidence: needs the image: yes" in capsys.readouterr().out


def test_what_is_partial_is_exit_code_130_and_named(
    tmp_path: Path, capsys: Capture, calls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, place, _ = CHALLENGED.checks
    half = replace(CHALLENGED, checks=(image, replace(place, samples=Samples(done=7, asked=19))))
    monkeypatch.setattr(groundviz, "challenge", lambda *_, **__: Explanation(half))
    assert cli.main([*ASKED, "--challenge", "--out", str(tmp_path)]) == 130
    out = capsys.readouterr().out
    assert "marked_place of attention: not measured (partial: 7 of 19 steps)" in out


@pytest.mark.parametrize(
    "more", [["--copies", "19"], ["--challenge", "--copies", "0"], ["--evidence", "best"]]
)
def test_what_makes_no_sense_is_wrong_usage(more: list[str], calls: Any, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([*ASKED, *more])
    assert ended.value.code == 2
    assert calls == []


def test_too_few_copies_are_noticed_before_anything_is_measured(
    tmp_path: Path, capsys: Capture, calls: Any
) -> None:
    assert cli.main([*ASKED, "--challenge", "--copies", "7", "--out", str(tmp_path)]) == 2
    assert "copies=7 cannot show anything" in capsys.readouterr().err
    assert calls == []


def test_a_check_cannot_command_the_terminal(tmp_path: Path, capsys: Capture) -> None:
    record = records.checked(records.record(), "yes")
    check = replace(record.checks[0], name="\x1b[31m", says="\x1b]0;x\x07", verdict="\x9b")
    saved = Explanation(replace(record, checks=(check,))).save(tmp_path / "case.gvz")
    assert cli.main(["open", str(saved), "--no-browser", "--out", str(tmp_path / "page.html")]) == 0
    assert not set(capsys.readouterr().out) & set("\x1b\x07\x9b")
