"""`groundviz lab`: a notebook of the reader's own, in JupyterLab."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from groundviz import cli
from groundviz.demo import lab


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """With what JupyterLab was started, by a stand-in that ends at once."""
    seen: list[list[str]] = []
    module = ModuleType("jupyterlab.labapp")
    module.LabApp = SimpleNamespace(launch_instance=seen.append)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "jupyterlab", ModuleType("jupyterlab"))
    monkeypatch.setitem(sys.modules, "jupyterlab.labapp", module)
    return seen


def test_it_starts_on_a_copy_of_the_quickstart(tmp_path: Path, started: list[list[str]]) -> None:
    folder = tmp_path / "new"
    assert cli.main(["lab", "--out", str(folder)]) == 0
    (arguments,) = started
    assert arguments[0] == str(folder / "quickstart.ipynb")
    assert "--LabApp.default_url=/lab/tree/quickstart.ipynb" in arguments
    assert json.loads((folder / "quickstart.ipynb").read_text("utf-8"))["nbformat"] == 4


def test_it_can_do_without_a_browser(tmp_path: Path, started: list[list[str]]) -> None:
    assert cli.main(["lab", "--out", str(tmp_path), "--no-browser"]) == 0
    assert "--no-browser" in started[0]


def test_port_address_and_everything_behind_the_dashes_go_to_jupyterlab(
    tmp_path: Path, started: list[list[str]]
) -> None:
    arguments = ["lab", "--out", str(tmp_path), "--port", "9999", "--ip", "0.0.0.0"]  # noqa: S104
    assert cli.main([*arguments, "--", "--ServerApp.token=x", "--debug", "--", "--port=1"]) == 0
    assert started[0][-6:] == [
        "--port=9999",
        "--ip=0.0.0.0",
        "--ServerApp.token=x",
        "--debug",
        "--",
        "--port=1",
    ]


@pytest.mark.parametrize("root", [True, False])
def test_as_root_it_runs_and_says_so(
    root: bool,
    tmp_path: Path,
    started: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0 if root else 1000)
    assert cli.main(["lab", "--out", str(tmp_path)]) == 0
    assert ("--allow-root" in started[0]) == root
    assert ("JupyterLab runs as root" in capsys.readouterr().err) == root
    assert cli.main(["lab", "--out", str(tmp_path), "--", "--allow-root"]) == 0
    assert started[1].count("--allow-root") == 1
    assert capsys.readouterr().err == ""


def test_what_the_reader_wrote_is_kept(tmp_path: Path) -> None:
    mine = lab.quickstart(tmp_path)
    mine.write_text("changed", "utf-8")
    assert lab.quickstart(tmp_path).read_text("utf-8") == "changed"


def test_without_jupyterlab_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "jupyterlab.labapp", None)
    folder = tmp_path / "new"
    assert cli.main(["lab", "--out", str(folder)]) == 2
    assert "pip install 'groundviz[jupyter]'" in capsys.readouterr().err
    assert not folder.exists()
