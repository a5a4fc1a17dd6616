"""The site: built by `mkdocs build --strict`, and offline. Needs the packages of the extra "docs"."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="the site needs pip install '.[docs]'")

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        # Says that mkdocs has a successor, with every build.
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    return folder


@pytest.mark.wide
def test_every_page_of_docs_and_every_notebook_is_there(site: Path) -> None:
    pages = {path.parent.relative_to(site).as_posix() for path in site.rglob("index.html")}
    docs = {path.stem for path in (ROOT / "docs").glob("*.md")}
    notebooks = {f"notebooks/{path.stem}" for path in (ROOT / "notebooks").glob("*.ipynb")}
    others = {".", "security", "contributing", "code_of_conduct", "demo_model", "cheat_model", "changelog"}
    assert pages == others | docs - {"index"} | notebooks


def test_examples_are_code_and_no_quotations(site: Path) -> None:
    reference = (site / "reference" / "index.html").read_text("utf-8")
    assert "groundviz.explain.explain" in reference
    assert "<blockquote>" not in reference
    assert reference.count('<span class="gp">') > 20


def test_it_loads_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        loaded = re.findall(r"<(?:script|img|link|iframe)[^>]+(?:src|href)=\"?([^\" >]+)", text)
        assert loaded
        assert not [one for one in loaded if one.startswith(("http:", "https:", "//"))]
