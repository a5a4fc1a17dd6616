"""Everything the documentation shows is run."""

from __future__ import annotations

import doctest
import importlib
import inspect
import itertools
import os
import pkgutil
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
import webbrowser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

import groundviz
from groundviz import cli
from groundviz.demo import lab, tour
from groundviz.models import FAMILIES
from groundviz.models.adapter.vlm import UNKNOWN
from groundviz.render.viewer import assets
from tests.support import pages

ROOT = pages.ROOT
README = ROOT / "README.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
MOST_WORDS, SNIPPET_LINES = 900, 8
# What installs groundviz, and what tests it: CI runs these two lines as they stand.
SET_UP = ["pip install . && groundviz demo\n", 'pip install ".[test]" && pytest\n']
# Their examples need more than an empty folder; other tests run them.
RUN_ELSEWHERE = {
    "README.md",
    "CONTRIBUTING.md",
    "extending.md",
    "adding_a_family.md",
    "viewer.md",
    "dicom_out.md",
    "evaluation.md",
    "study.md",
}
WITH_PYTHON = [
    page for page in pages.PAGES if pages.fences(page, "python") and page.name not in RUN_ELSEWHERE
]
# What follows the Python of its page is run by another test.
COMMANDS_ELSEWHERE = {"CONTRIBUTING.md", "dicom_out.md"}
WITH_COMMANDS = [
    page for page in pages.PAGES if pages.fences(page, "console") and page.name not in COMMANDS_ELSEWHERE
]
LINK = re.compile(r"\]\(([^)#]+)(?:#[\w-]+)?\)")
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(groundviz.__path__, "groundviz.")
    if not module.name.endswith("__main__")
)


# What would take hours, or more than a glance.
SHORTER = {
    "evaluate": ["--limit", "4"],
    "scripts.train_demo": ["--vision-steps", "1", "--answer-steps", "1", "--blank-steps", "1"],
    "scripts.score_demo": ["--images", "2", "--methods", "attention"],
    "scripts.train_cheat": ["--steps", "1"],
    "scripts.score_cheat": ["--images", "1"],
    "scripts.calibrate_evidence": ["--phantoms", "2", "--few", "1", "--methods", "attention"],
}
COMMANDS = set(
    "demo explain certify lab methods models open export animate data "
    "evaluate worker status merge report gallery study".split()
)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """With what JupyterLab was started, by a stand-in that ends at once."""
    seen: list[list[str]] = []
    monkeypatch.setattr(lab, "server", lambda: SimpleNamespace(launch_instance=seen.append))
    return seen


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with the sample images, to work in."""
    shutil.copytree(ROOT / "sample_images", tmp_path / "sample_images")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def commands_of(page: Path) -> list[list[str]]:
    """Every command of a page's fenced blocks, in words."""
    return [shlex.split(line) for line in "".join(pages.fences(page, "console")).splitlines()]


@pytest.mark.parametrize("name", ["groundviz", *MODULES])
def test_examples_in_docstrings_run(name: str) -> None:
    if name == "groundviz.render.live.widget":
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
        # One example may lead through all that belongs together.
        whole = ">>>" in (inspect.getdoc(public) or "") and public is groundviz.study
        assert whole or all(">>>" in (inspect.getdoc(getattr(public, own)) or "") for own in public.__all__)
    else:
        assert ">>>" in (inspect.getdoc(public) or "")


def test_the_readme_is_short() -> None:
    assert len(README.read_text("utf-8").split()) <= MOST_WORDS
    (snippet,) = pages.fences(README, "python")
    assert len([line for line in snippet.splitlines() if line.strip()]) == SNIPPET_LINES


def test_the_python_of_the_readme_runs_in_a_fresh_process(folder: Path) -> None:
    (snippet,) = pages.fences(README, "python")
    ran = subprocess.run(
        [sys.executable, "-c", snippet],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert {path.suffix for path in folder.glob("nodule.*")} == {".pdf", ".html", ".gvz"}


@pytest.mark.wide
@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.name)
def test_the_python_of_a_page_runs(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All blocks of a page, one after the other, as one reader would run them."""
    monkeypatch.setattr(groundviz.options, "embed", "image")
    names: dict[str, Any] = {}
    for number, block in enumerate(pages.fences(page, "python")):
        exec(compile(block, f"{page.name}, block {number}", "exec"), names)  # noqa: S102


@pytest.mark.parametrize(
    "page",
    [page if page == README else pytest.param(page, marks=pytest.mark.wide) for page in WITH_COMMANDS],
    ids=lambda page: page.name,
)
def test_the_commands_of_a_page_run(
    page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, started: list[list[str]]
) -> None:
    """As they stand, one after the other; what takes hours is cut short, and no window opens."""
    monkeypatch.setattr(webbrowser, "open", lambda address: True)
    monkeypatch.setattr(tour, "STOPS", tour.STOPS[:1])
    for program, *arguments in commands_of(page):
        if program == "groundviz":
            assert cli.main([*arguments, *SHORTER.get(arguments[0], [])]) == 0, arguments
        elif program == "python":
            script, *options = arguments
            name = script.removesuffix(".py").replace("/", ".")
            importlib.import_module(name).main([*options, *SHORTER.get(name, [])])
        else:
            # What it installs is looked up by another test.
            assert program == "pip", program
    for command in started:
        assert command[0] == str(Path("groundviz-lab", "quickstart.ipynb"))
    if (folder / "OUT").exists():
        assert groundviz.load(folder / "OUT").describe()


def test_every_command_is_shown() -> None:
    shown = [line for page in WITH_COMMANDS for line in commands_of(page)]
    assert {line[1] for line in shown if line[0] == "groundviz"} == COMMANDS


def test_what_the_documentation_installs_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for page in pages.PAGES:
        for extra in re.findall(r"pip install \"(?:groundviz|\.)\[(\w+)\]\"", page.read_text("utf-8")):
            assert extra in project["optional-dependencies"]


@pytest.mark.wide
def test_images_are_drawn_by_their_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first figure; the viewer is photographed by `python scripts/doc_images.py viewer`."""
    from scripts import doc_images

    assert doc_images.FOLDER == ROOT / "docs" / "img"
    gallery = doc_images.gallery
    monkeypatch.setattr(doc_images, "FOLDER", tmp_path)
    monkeypatch.setattr(doc_images, "gallery", lambda vlm: itertools.islice(gallery(vlm), 1))
    doc_images.main(["figures"])
    (made,) = tmp_path.iterdir()
    with Image.open(made) as new, Image.open(ROOT / "docs" / "img" / made.name) as kept:
        assert new.size == kept.size


def test_photographs_are_light_enough_to_be_seen_at_once() -> None:
    images = [*(ROOT / "docs" / "img" / "viewer").glob("*.webp")]
    assert len(images) > 12
    for image in images:
        assert image.stat().st_size < 200_000, image.name


def test_the_viewer_is_documented_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "viewer.md").read_text("utf-8")
    table = re.search(r"const KEYS=\[(.*?\])\];", assets.module(), re.DOTALL)
    assert table
    rows = re.findall(r'\["(.*?)","(.*?)"\]', table[1])
    assert len(rows) > 10
    for keys, does in rows:
        assert f"| {keys} | {does} |\n" in page
    drawn = {path.stem for path in (ROOT / "docs" / "img" / "viewer").glob("*.webp")}
    assert drawn == set(re.findall(r"\(img/viewer/(\w+)\.webp\)", page))
    pytest.importorskip("anywidget", reason="not installed: anywidget")
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {}
    for block in pages.fences(pages.DOCS / "viewer.md", "python"):
        exec(compile(block, "viewer.md", "exec"), names)  # noqa: S102
    assert names["viewer"].selected == [0]


def test_set_up_takes_exactly_two_commands() -> None:
    installing = [block for block in pages.fences(README, "console") if block.startswith("pip")]
    assert installing == SET_UP


def test_the_methods_of_the_readme_are_those_there_are() -> None:
    cells = re.findall(r"^\|[^|]*\|([^|]*)\|", pages.between(README, "methods"), re.MULTILINE)
    named = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(named) == sorted(groundviz.METHODS)


def test_the_families_of_the_readme_are_those_there_are() -> None:
    named = re.findall(r"`(\w+)`", pages.between(README, "models"))
    assert set(named) == set(FAMILIES) - {UNKNOWN}


def test_the_index_leads_to_every_page() -> None:
    index = pages.DOCS / "index.md"
    linked = {(index.parent / target).resolve() for target in LINK.findall(index.read_text("utf-8"))}
    assert {*pages.PAGES, ROOT / "CHANGELOG.md"} - linked == {index, README}


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text("utf-8")):
        assert (page.parent / target).exists() or target.startswith("https://")


def test_every_type_of_figure_is_shown() -> None:
    drawn = {path.stem for path in (ROOT / "docs" / "img").glob("*.webp")}
    shown = re.findall(r"\(img/(\w+)\.webp\)", (ROOT / "docs" / "figures.md").read_text("utf-8"))
    assert sorted(shown) == sorted(drawn)


def test_python_dash_m_is_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["groundviz", "--version"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("groundviz", run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"groundviz {groundviz.__version__}\n"
