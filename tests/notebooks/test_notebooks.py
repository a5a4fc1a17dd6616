"""Every notebook runs from top to bottom in a fresh kernel, and is stored without what came of it."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import groundviz
from groundviz.models.catalogue import catalogue
from tests.support.pages import fences

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SECONDS = 60
MOST_LINES = 26
FAMILY_LINES = 60
CHECKPOINTS = {name for entry in catalogue() for name in entry.checkpoints}

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path: Path, kind: str) -> list[Any]:
    return [cell for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == kind]


def code(path: Path) -> list[str]:
    return ["".join(cell["source"]) for cell in cells(path, "code")]


def downloads(path: Path) -> Iterator[ast.Call]:
    """Calls of groundviz in cells that fetch weights, which run nowhere here."""
    for node in ast.walk(ast.parse("\n".join(code(path)))):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "DOWNLOAD":
            yield from (
                call
                for call in ast.walk(node)
                if isinstance(call, ast.Call) and ast.unparse(call.func).startswith("groundviz.")
            )


def test_all_eight_are_there() -> None:
    assert [path.stem[:2] for path in NOTEBOOKS] == ["01", "02", "03", "04", "05", "06", "07", "08"]


@pytest.mark.parametrize(
    "path",
    [NOTEBOOKS[0], *(pytest.param(path, marks=pytest.mark.wide) for path in NOTEBOOKS[1:])],
    ids=lambda path: path.stem,
)
def test_it_runs_in_a_fresh_kernel(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *os.environ.get("PYTHONPATH", "").split()]))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, kernel_name="python3", timeout=5 * SECONDS, resources={"metadata": {"path": str(tmp_path)}}
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    client.execute()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Of a processor, about fifteen: a busy machine is no fault of the notebook's.
    assert after.ru_utime - before.ru_utime < SECONDS
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert outputs
    # Bars that show the time left are written there, too; warnings, ours or another package's, are not.
    told = [one.text for one in outputs if one.output_type == "stream" and one.name == "stderr"]
    assert not [text for text in told if re.search("warn|deprecat", text, re.IGNORECASE)]


@every_notebook
def test_it_is_stored_without_outputs(path: Path) -> None:
    found = json.loads(path.read_text("utf-8"))
    nbformat.validate(found)
    why = "Clear all outputs before committing: Edit > Clear Outputs of All Cells."
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells(path, "code")), why
    assert all(cell["metadata"] == {} for cell in found["cells"])
    assert found["metadata"] == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }


@every_notebook
def test_it_reads_well(path: Path) -> None:
    told = cells(path, "markdown")
    assert "".join(told[0]["source"]).startswith("# ")
    assert len(told) >= len(cells(path, "code")) / 2
    for source in code(path):
        assert len(source.splitlines()) <= (FAMILY_LINES if "class " in source else MOST_LINES)


@every_notebook
def test_its_links_lead_somewhere(path: Path) -> None:
    text = "\n".join("".join(cell["source"]) for cell in cells(path, "markdown"))
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (path.parent / target).exists()
    for name in re.findall(r"`(0\d_\w+)`", text):
        assert (path.parent / f"{name}.ipynb").exists()


def test_cells_that_download_call_what_there_is() -> None:
    (own_model,) = (path for path in NOTEBOOKS if path.stem.startswith("03"))
    called = list(downloads(own_model))
    loaded = [call for call in called if ast.unparse(call.func) == "groundviz.load"]
    for call in called:
        function = getattr(groundviz, call.func.attr)  # type: ignore[attr-defined]
        inspect.signature(function).bind(*call.args, **{one.arg: one.value for one in call.keywords})
    assert len(loaded) == 3
    assert {ast.literal_eval(call.args[0]) for call in loaded} <= CHECKPOINTS
    assert [path for path in NOTEBOOKS if list(downloads(path))] == [own_model]


@pytest.mark.parametrize("guide", ["extending.md", "adding_a_family.md"])
def test_the_one_on_extending_shows_what_the_guides_show(guide: str) -> None:
    (extending,) = (path for path in NOTEBOOKS if path.stem.startswith("06"))
    shown = code(extending)
    for block in fences(ROOT / "docs" / guide, "python")[:2]:
        assert block.strip() in shown, f"Copy this block of docs/{guide} into {extending.name}:\n{block}"
