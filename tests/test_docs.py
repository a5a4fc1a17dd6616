"""Everything the documentation shows is run."""

from __future__ import annotations

import doctest
import importlib
import inspect
import os
import pkgutil
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import groundviz
from groundviz.cli import _parser

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(groundviz.__path__, "groundviz.")
    if not module.name.endswith("__main__")
)


COMMANDS = {"demo", "explain", "certify", "lab", "methods", "models", "open"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("name", ["groundviz", *MODULES])
def test_examples_in_docstrings_run(name: str) -> None:
    if name == "groundviz.render.widget":
        pytest.importorskip("anywidget", reason="not installed: anywidget")
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


@pytest.mark.parametrize("name", sorted(set(groundviz.__all__) - {"__version__"}))
def test_every_public_name_has_an_example(name: str) -> None:
    public = getattr(groundviz, name)
    if public is groundviz.errors:
        # Errors show themselves in the examples of what raises them.
        assert "├──" in (inspect.getdoc(public) or "")
    elif inspect.ismodule(public):
        assert all(">>>" in (inspect.getdoc(getattr(public, own)) or "") for own in public.__all__)
    else:
        assert ">>>" in (inspect.getdoc(public) or "")


def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "sample_images", tmp_path / "sample_images")
    snippets = tmp_path / "readme.py"
    snippets.write_text("\n".join(blocks("python")), "utf-8")
    ran = subprocess.run(
        [sys.executable, snippets],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert len(blocks("python")) >= 2
    assert {path.suffix for path in tmp_path.glob("nodule.*")} == {".pdf", ".html", ".gvz"}


def test_the_commands_of_the_readme_exist() -> None:
    lines = "".join(blocks("console")).splitlines()
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("groundviz ")]
    modules = [shlex.split(line)[2] for line in lines if line.startswith("python -m ")]
    assert {command[0] for command in commands} == COMMANDS
    for command in commands:
        assert _parser().parse_args(command).run
    for module in modules:
        assert importlib.import_module(module).main
    assert len(modules) == 3


def test_set_up_takes_exactly_two_commands() -> None:
    set_up = README.split("## Set-up")[1].split("\n## ")[0]
    commands = re.findall(r"```console\n(.*?)```", set_up, re.DOTALL)
    assert commands == ["pip install . && groundviz demo\n", 'pip install ".[test]" && pytest\n']


def test_the_methods_of_the_readme_are_those_there_are() -> None:
    table = README.split("## Methods")[1].split("\n## ")[0]
    cells = re.findall(r"^\|[^|]*\|([^|]*)\|", table, re.MULTILINE)
    named = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(named) == sorted(groundviz.METHODS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
        assert (page.parent / target).exists() or target.startswith("https://")


def test_every_type_of_figure_is_shown() -> None:
    drawn = {path.stem for path in (ROOT / "docs" / "pictures").glob("*.webp")}
    shown = re.findall(r"\(pictures/(\w+)\.webp\)", (ROOT / "docs" / "figures.md").read_text("utf-8"))
    assert sorted(shown) == sorted(drawn)


def test_python_dash_m_is_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["groundviz", "--version"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("groundviz", run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"groundviz {groundviz.__version__}\n"
