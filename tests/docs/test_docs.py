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
from groundviz.render.viewer import assets

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(groundviz.__path__, "groundviz.")
    if not module.name.endswith("__main__")
)


# What would take hours, or more than a glance.
SHORTER = {
    "scripts.train_demo": ["--vision-steps", "1", "--answer-steps", "1"],
    "scripts.score_demo": ["--images", "2", "--methods", "attention"],
}
COMMANDS = {"demo", "explain", "certify", "lab", "methods", "models", "open"}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """With what JupyterLab was started, by a stand-in that ends at once."""
    seen: list[list[str]] = []
    monkeypatch.setattr(lab, "server", lambda: SimpleNamespace(launch_instance=seen.append))
    return seen


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


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


def test_the_commands_of_the_readme_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[list[str]]
) -> None:
    """As they stand, one after the other; what takes hours is cut short, and no window opens."""
    shutil.copytree(ROOT / "sample_images", tmp_path / "sample_images")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(webbrowser, "open", lambda address: True)
    monkeypatch.setattr(tour, "STOPS", tour.STOPS[:1])
    lines = [shlex.split(line) for line in "".join(blocks("console")).splitlines()]
    commands = [line[1:] for line in lines if line[0] == "groundviz"]
    modules = [line[2:] for line in lines if line[:2] == ["python", "-m"]]
    assert {command[0] for command in commands} == COMMANDS
    for command in commands:
        assert cli.main(command) == 0, command
    assert [arguments[0] for arguments in started] == [str(Path("groundviz-lab", "quickstart.ipynb"))]
    for module, *arguments in modules:
        importlib.import_module(module).main([*arguments, *SHORTER.get(module, [])])
    assert len(lines) - len(commands) - len(modules) == len(["what installs and shows", "what tests"])
    assert groundviz.load(tmp_path / "OUT").describe()


def test_what_the_documentation_installs_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for page in PAGES:
        for extra in re.findall(r"pip install \"(?:groundviz|\.)\[(\w+)\]\"", page.read_text("utf-8")):
            assert extra in project["optional-dependencies"]


def test_images_are_drawn_by_their_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first figure; the viewer is photographed by `python scripts/doc_images.py viewer`."""
    from docs import images

    gallery = images.gallery
    monkeypatch.setattr(images, "FOLDER", tmp_path)
    monkeypatch.setattr(images, "gallery", lambda vlm: itertools.islice(gallery(vlm), 1))
    images.main(["figures"])
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
    table = re.search(r"const KEYS = \[\n(.*?)\n\];", assets.module(), re.DOTALL)
    assert table
    for keys, does in re.findall(r'\["(.*?)", "(.*?)"\]', table[1]):
        assert f"| {keys} | {does} |\n" in page
    drawn = {path.stem for path in (ROOT / "docs" / "img" / "viewer").glob("*.webp")}
    assert drawn == set(re.findall(r"\(img/viewer/(\w+)\.webp\)", page))
    pytest.importorskip("anywidget", reason="not installed: anywidget")
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(compile(block, "viewer.md", "exec"), names)  # noqa: S102
    assert names["viewer"].selected == [0]


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
