"""What is typed, all the way to the record: settings of the answer, its length, labels, what is unsure."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import groundviz
from groundviz import cli
from groundviz.cli import asking, naming
from groundviz.cli.parser import parse
from groundviz.explanation import Explanation
from groundviz.record.types import Record, Slice
from tests.support import records

ROOT = Path(__file__).parents[2]
NODULE = ROOT / "sample_images" / "nodule.png"
ASKED = ["explain", str(NODULE), "Where is the nodule?", "--model", "demo", "--method", "attention"]

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records alone: how they are drawn is tested elsewhere."""
    monkeypatch.setattr(asking._Asked, "_draw", lambda *_: None)


def _record(folder: Path, *more: str) -> Record:
    out = folder / str(len(list(folder.iterdir())))
    assert cli.main([*ASKED, *more, "--out", str(out)]) == 0
    (saved,) = out.glob("*.gvz")
    return groundviz.open(saved).record


def test_an_answer_can_be_kept_short_and_is_marked_as_cut_off(tmp_path: Path, capsys: Capture) -> None:
    whole = _record(tmp_path)
    assert whole.answer.finished is True
    assert "cut off" not in capsys.readouterr().out
    short = _record(tmp_path, "--max-new-tokens", "2")
    assert len(short.answer.token_ids) == 2
    assert short.answer.finished is False
    assert re.search(
        r"^answer: right upper \(.*cut off by its length\)$", capsys.readouterr().out, re.MULTILINE
    )


@pytest.mark.wide
def test_beams_and_sampling_are_done_by_the_model(tmp_path: Path) -> None:
    beams = _record(tmp_path, "--beams", "2", "--generation", "max_new_tokens=4")
    assert beams.answer.text.startswith("right upper")
    hot = ["--temperature", "50", "--max-new-tokens", "8"]
    drawn = [_record(tmp_path, *hot, "--seed", seed).answer.text for seed in ("1", "1", "2")]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_setting_that_does_not_exist_is_one_line(tmp_path: Path, capsys: Capture) -> None:
    assert cli.main([*ASKED, "--generation", "max_tokens=3", "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err.split("\r")[-1]
    assert "groundviz: error: " in error
    assert "max_tokens" in error


def test_the_system_s_text_is_part_of_the_prompt_and_the_label_of_the_record(
    tmp_path: Path, capsys: Capture
) -> None:
    assert "Be brief" not in _record(tmp_path).prompt.text
    told = _record(tmp_path, "--system", "Be brief", "--label", "checkpoint A")
    assert "Be brief" in told.prompt.text
    assert told.label == "checkpoint A"
    assert "label: checkpoint A\n" in capsys.readouterr().out


def test_the_error_of_a_sampled_map_is_printed(tmp_path: Path, capsys: Capture) -> None:
    _record(tmp_path, "--method", "rise", "--option", "rise.masks=64", "--target", "upper")
    assert re.search(r"^  RISE for “upper”: .*\n    standard error ", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.wide
@pytest.mark.filterwarnings("default:.*no evidence:RuntimeWarning")
def test_a_map_without_evidence_says_so(tmp_path: Path, capsys: Capture) -> None:
    _record(tmp_path, "--method", "occlusion", "--option", "occlusion.window=4096")
    assert "no evidence: every cell" in capsys.readouterr().out


def test_a_mistyped_demo_is_one_line(tmp_path: Path, capsys: Capture) -> None:
    arguments = ["explain", str(NODULE), "Why?", "--model", "dmeo", "--out", str(tmp_path)]
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    error = captured.err.split("\r")[-1].strip()
    assert error.startswith("groundviz: error: ")
    assert re.search("[Dd]id you mean .?demo", error)
    assert os.linesep not in error


def _stack(path: Path) -> Path:
    """A file of six pages, each brighter than the last."""
    pages = [Image.fromarray(np.full((8, 8), 40 * number, np.uint8)) for number in range(6)]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    return path


@pytest.mark.parametrize(("which", "numbers"), [("all", range(6)), ("1:6:2", (1, 3, 5))])
def test_one_question_can_be_about_the_slices_of_a_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str, numbers: Sequence[int]
) -> None:
    given: list[Any] = []

    def explain(_: object, images: Any, *__: object, **___: object) -> groundviz.Explanation:
        given.extend(images)
        return groundviz.Explanation(records.pair())

    monkeypatch.setattr(groundviz, "explain", explain)
    stack = str(_stack(tmp_path / "stack.tif"))
    asked = ["explain", stack, "Where?", "--model", "demo", "--out", str(tmp_path / "out")]
    assert cli.main([*asked, "--slices", which]) == 0
    assert [one.slice for one in given] == [Slice(stack=0, number=number, of=6) for number in numbers]
    assert [round(255 * float(one.pixels[0, 0])) for one in given] == [40 * number for number in numbers]
    # Another choice is another question, whose files stand beside these.
    first, other = (naming._mark(parse([*asked, "--slices", one]), [stack], {}) for one in (which, "0:2"))
    assert first != other


@pytest.mark.parametrize("which", ["", "3", "5:3", "1:4:0", "-1:4", "1:4:2:1", "one:two", "1:9999999999"])
def test_slices_that_name_none_are_refused(which: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        cli.main([*ASKED, f"--slices={which}"])
    assert "FIRST:STOP" in capsys.readouterr().err


def test_slices_are_of_one_stack_and_there(tmp_path: Path, capsys: Capture) -> None:
    stack = str(_stack(tmp_path / "stack.tif"))
    asked = ["explain", stack, "Where?", "--model", "demo", "--out", str(tmp_path)]
    for more, says in (
        (["--image", str(NODULE)], "--slices asks one question about one stack"),
        (["--frame", "1"], "--slices asks one question about one stack"),
        ([], "6"),
    ):
        assert cli.main([*asked, *more, "--slices", "4:9"]) == 2
        assert says in capsys.readouterr().err
    assert not list(tmp_path.glob("*.gvz"))


def test_errors_advise_options_where_the_command_has_them(tmp_path: Path, capsys: Capture) -> None:
    stack = str(_stack(tmp_path / "stack.tif"))
    asked = ["explain", stack, "Where?", "--model", "demo", "--out", str(tmp_path)]
    for more, says in (
        ([], "one must be chosen. Pass --frame, a number from 0 to 5. (SHA-256 of the content: "),
        (["--slices", "4:9"], "Pass for example --slices 0:6."),
        (["--frame", "1", "--window", "1,0"], "Pass for example --window 40,400."),
    ):
        assert cli.main([*asked, *more]) == 2
        assert says in capsys.readouterr().err
    # Outside a command they advise what Python takes.
    with pytest.raises(groundviz.errors.ImageError, match=r"Pass frame=, a number from 0 to 5\."):
        groundviz.images.load(stack)


def test_a_stack_with_too_many_slices_says_how_many_there_is_room_for(
    tmp_path: Path, capsys: Capture
) -> None:
    stack = str(_stack(tmp_path / "stack.tif"))
    asked = ["explain", stack, "Where?", "--model", "demo", "--method", "attention", "--out", str(tmp_path)]
    assert cli.main([*asked, "--slices", "all"]) == 2
    says = re.search(
        r"There are too many images: 6 of .* Give at most \d, for example --slices (\S+)\.",
        capsys.readouterr().err,
    )
    assert says is not None
    assert cli.main([*asked, "--slices", says[1]]) == 0


TYPED = [
    ["--method", "attention,rise"],
    ["--methods", "attention, rise"],
    ["--method", "attention", "--method", "rise"],
    ["--methods", "attention", "--method", "rise"],
]
TAKES_METHODS = [
    ["explain", "a.png", "Where?", "--model", "demo"],
    ["export", "a.gvz", "--to", "a.csv"],
    ["animate", "a.gvz", "--to", "a.webp"],
    ["evaluate", "demo", "phantoms"],
]


@pytest.mark.parametrize("command", TAKES_METHODS, ids=lambda words: words[0])
@pytest.mark.parametrize("typed", TYPED, ids=" ".join)
def test_methods_are_given_in_one_way_to_every_command(command: Sequence[str], typed: Sequence[str]) -> None:
    assert parse([*command, *typed]).methods == ["attention", "rise"]
    assert parse(command).methods is None


def test_methods_that_name_none_are_refused(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        parse([*TAKES_METHODS[0], "--methods", " ,"])
    assert "argument --method/--methods: ' ,' names nothing" in capsys.readouterr().err


def test_an_animation_shows_one_method(tmp_path: Path, capsys: Capture) -> None:
    saved = Explanation(records.record()).save(tmp_path / "chest.gvz")
    words = ["animate", str(saved), "--to", str(tmp_path / "a.webp"), "--methods", "attention,rise"]
    assert cli.main(words) == 2
    assert "one method, and --method names several. Name one of them" in capsys.readouterr().err
