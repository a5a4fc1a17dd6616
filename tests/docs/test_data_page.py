"""What the page about numbers shows is run, in its order."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from groundviz import cli
from groundviz.record.exports import long
from groundviz.record.exports.writing import FORMATS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "data.md").read_text("utf-8")


@pytest.mark.wide
def test_every_snippet_runs(tmp_path, monkeypatch, capsys):
    pytest.importorskip("pandas", reason="not installed: pandas")
    pytest.importorskip("xarray", reason="not installed: xarray")
    shutil.copytree(ROOT / "sample_images", tmp_path / "sample_images")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(block, "data.md", "exec"), names)  # noqa: S102
    assert names["more"].methods == ("attention", "gradient_attention", "token_ablation")
    names["explanation"].save("nodule.gvz")
    commands = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    for line in "".join(commands).splitlines():
        assert cli.main(shlex.split(line)[1:]) == 0
    written = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert written == {
        *("nodule.gvz", "maps.csv", "boxes.json", "map.npy", "map.nii.gz"),
        *("maps2.csv", "boxes2.json", "map2.nii.gz"),
    }
    capsys.readouterr()


def test_every_column_and_format_is_described():
    told = re.findall(r"^\| ((?:`[^`]+`(?:, )?)+) \|", PAGE, re.MULTILINE)
    named = [name for cell in told for name in re.findall(r"`([^`]+)`", cell)]
    assert named == [*long.COLUMNS, *FORMATS_IN_ORDER]


FORMATS_IN_ORDER = [".csv", ".json", ".npy", ".nii", ".nii.gz"]


def test_the_formats_are_those_there_are():
    assert list(FORMATS) == FORMATS_IN_ORDER
