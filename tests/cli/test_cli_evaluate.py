"""`groundviz evaluate` and `status`: what they say of a run on a folder with faults."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from groundviz.cli import main


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A lost mask, a report without a question, an answer without its question, and one with a region."""
    rows = [
        {"image": "0.png", "question": "Is there a mass?", "answer": "yes", "mask": "lost.png"},
        {"image": "1.png", "answer": "Clear lungs.", "answer_type": "report"},
        {"image": "2.png", "answer": "no"},
        {"image": "3.png", "question": "Is there a mass?", "answer": "no", "boxes": [[30, 30, 60, 60]]},
    ]
    (tmp_path / "samples.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 255, (112, 112), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    return tmp_path


def test_nothing_is_left_out_without_being_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", "demo", f"folder:{home}", "--methods", "attention", "--controls", "none"]
    assert main([*command, "--out", str(home / "RUN")]) == 0
    out = capsys.readouterr().out
    told, scores = out.split("answers: ")
    for line in (
        "asked      'Describe the findings.', of 1 sample that has no question",
        "not ok     1 skipped: The sample has an answer and not the question that it belongs to.",
        "localised  1 of 4",
        "1 without: reference that cannot be read. A mask's file is missing",
        "1 without: no reference region",
        "1 without: no map",
    ):
        assert line in told
    assert "% right of " in scores
    assert "by the scorer 'strict'" in scores
    head = next(line for line in scores.splitlines() if line.startswith("method"))
    assert head.split()[1:4] == ["pointing", "energy", "ap"]
    assert main(["status", str(home / "RUN")]) == 0
    assert capsys.readouterr().out == told.rstrip("\n") + "\n"


def test_a_path_needs_the_name_of_a_data_set(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "demo", str(home), "--out", str(home / "RUN")]) == 2
    assert f"name it 'folder:{home}'" in capsys.readouterr().err
