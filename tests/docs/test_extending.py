"""What the guides for authors show runs as it stands, and the table of methods is the present one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from groundviz import cli
from groundviz.methods import METHODS
from groundviz.models import FAMILIES
from groundviz.testing import every_family
from tests.support.pages import assert_up_to_date, fences

DOCS = Path(__file__).parents[2] / "docs"


def blocks(guide: str) -> list[str]:
    return fences(DOCS / guide, "python")


def run(guide: str) -> dict[str, object]:
    names: dict[str, object] = {"__name__": guide}
    for number, block in enumerate(blocks(guide)):
        exec(compile(block, f"{guide}, block {number}", "exec"), names)  # noqa: S102
    return names


def test_the_examples_are_short() -> None:
    method, family = (blocks(guide)[0].splitlines() for guide in ("extending.md", "adding_a_family.md"))
    assert 10 < len([line for line in method if line.strip()]) <= 18
    assert 10 < len([line for line in family if line.strip()]) <= 18


@pytest.mark.wide
@pytest.mark.parametrize("kinds", [["llava"], pytest.param(list(every_family.TINY), marks=pytest.mark.slow)])
def test_the_guide_for_methods_runs_as_it_stands(kinds: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """With models of every family: `pytest -m slow tests/docs/test_extending.py`."""
    monkeypatch.setattr(every_family, "TINY", {kind: every_family.TINY[kind] for kind in kinds})
    # What it registers is gone again after the test.
    monkeypatch.setattr(METHODS, "_entries", dict(METHODS._entries))
    names = run("extending.md")
    assert METHODS["cell_gradient"] is names["cell_gradient"]
    assert len(blocks("extending.md")) == 3


def test_the_guide_for_families_runs_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FAMILIES, "_entries", dict(FAMILIES._entries))
    names = run("adding_a_family.md")
    assert FAMILIES["vipllava"] is names["VIP_LLAVA"]


def test_the_table_of_methods_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["methods", "--markdown"]) == 0
    page, command = DOCS / "methods.md", "groundviz methods --markdown > docs/methods.md"
    made = capsys.readouterr().out
    assert_up_to_date(page.read_text("utf-8"), made, page=page, command=command)


def test_the_table_has_a_full_row_for_every_method() -> None:
    rows = [line for line in (DOCS / "methods.md").read_text("utf-8").splitlines() if line.startswith("| `")]
    cells = [re.split(r"(?<!\\)\|", row)[1:-1] for row in rows]
    bridged = [f"{prefix}:{name}" for prefix, bridge in METHODS.bridges.items() for name in bridge.names]
    assert [row[0].strip(" `") for row in cells] == [*METHODS, *bridged]
    assert all(len(row) == 7 and all(cell.strip() not in ("", "not stated") for cell in row) for row in cells)
