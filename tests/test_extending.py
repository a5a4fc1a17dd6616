"""What the guide for method authors shows runs as it stands, and the table of methods is the present one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from groundviz import cli
from groundviz.methods import METHODS

DOCS = Path(__file__).parents[1] / "docs"
BLOCKS = re.findall(r"```python\n(.*?)```", (DOCS / "extending.md").read_text("utf-8"), re.DOTALL)


def test_the_example_has_at_most_fifteen_lines() -> None:
    lines = [line for line in BLOCKS[0].splitlines() if line.strip()]
    assert 10 < len(lines) <= 15


def test_the_code_of_the_guide_runs_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    # What it registers is gone again after the test.
    monkeypatch.setattr(METHODS, "_entries", dict(METHODS._entries))
    names: dict[str, object] = {}
    for number, block in enumerate(BLOCKS):
        exec(compile(block, f"extending.md, block {number}", "exec"), names)  # noqa: S102
    assert METHODS["cell_gradient"] is names["cell_gradient"]
    assert len(BLOCKS) == 3


def test_the_table_of_methods_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["methods", "--markdown"]) == 0
    assert capsys.readouterr().out == (DOCS / "methods.md").read_text("utf-8")


def test_the_table_has_a_full_row_for_every_method() -> None:
    rows = [line for line in (DOCS / "methods.md").read_text("utf-8").splitlines() if line.startswith("| `")]
    cells = [re.split(r"(?<!\\)\|", row)[1:-1] for row in rows]
    assert [row[0].strip(" `") for row in cells] == list(METHODS)
    assert all(len(row) == 7 and all(cell.strip() not in ("", "not stated") for cell in row) for row in cells)
