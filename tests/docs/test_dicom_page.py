"""What the page about DICOM shows is run, in its order."""

import shlex
import shutil

import pytest

from groundviz import cli, images
from groundviz.dicom_out.writing import FORMATS
from groundviz.render.base.overlay import MOST_OUTLINED
from groundviz.render.figures.capture import LONGEST, SHORTEST
from tests.support import pages

PAGE = pages.DOCS / "dicom_out.md"


@pytest.mark.wide
def test_every_snippet_runs(tmp_path, monkeypatch, capsys):
    pytest.importorskip("highdicom", reason="not installed: highdicom")
    shutil.copytree(pages.ROOT / "sample_images", tmp_path / "sample_images")
    monkeypatch.chdir(tmp_path)
    (block,) = pages.fences(PAGE, "python")
    exec(compile(block, PAGE.name, "exec"), {})  # noqa: S102
    for line in "".join(pages.fences(PAGE, "console")).splitlines():
        assert cli.main(shlex.split(line)[1:]) == 0
    capsys.readouterr()
    written = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert written == {"exam.gvz", *("capture.dcm", "capture2.dcm", "lines.gsps.dcm", "lines2.gsps.dcm")}
    assert images.load("capture.dcm").source == "dicom"


def test_formats_and_sizes_are_those_there_are():
    text = PAGE.read_text("utf-8")
    assert all(f"`{suffix}`" in text for suffix in FORMATS)
    assert f"at least {SHORTEST:,} and at most {LONGEST:,} pixels" in " ".join(text.split())
    assert f"more than {MOST_OUTLINED} x {MOST_OUTLINED} cells" in " ".join(text.split())
