"""A notebook that was run and saved without pixels holds none, wherever one looks in it."""

from __future__ import annotations

import base64
import io
import json
import os
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

from groundviz.record.types import Record
from groundviz.render.pages import html
from groundviz.render.viewer import pack
from tests.support import records
from tests.support.tiles import every_image

pytest.importorskip("anywidget", reason="not installed: anywidget")
nbclient = pytest.importorskip("nbclient", reason="not installed: nbclient")

ROOT = Path(__file__).parents[2]
MARKS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
CELLS = """
import groundviz
from groundviz.comparison import compare
from groundviz.explanation import Explanation
from tests.render.test_saved_notebook import patchwork
groundviz.options.embed = {embed!r}
explanation = Explanation(patchwork())
explanation
---
explanation.view(contours=patchwork().source_image.pixels > 0.5)
---
pair = compare([explanation, explanation])
pair
---
pair.view()
---
explanation.figure(methods="attention")
---
explanation.source_image
---
explanation.record.source_image
---
live = explanation.view()
live._handle_custom_msg({{"need": "images"}}, [])
live._add("attention", explanation.record, "")
live
"""


def patchwork() -> Record:
    """A record whose image is of patches of grey that are found again in any encoding, at any size."""
    patches = np.random.default_rng(3).random((12, 12)).astype(np.float32)
    record = records.record(96, 96)
    object.__setattr__(record.source_image, "pixels", np.kron(patches, np.ones((8, 8), np.float32)))
    return record


def _run(embed: str, folder: Path) -> str:
    """The JSON of a notebook that ran with this setting, its widgets' state included."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [nbformat.v4.new_code_cell(one) for one in CELLS.format(embed=embed).split("---\n")]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    client = nbclient.NotebookClient(notebook, timeout=120, store_widget_state=True)
    client.execute(cwd=folder)
    return nbformat.writes(notebook)


def _contents(text: str) -> list[bytes]:
    """All bytes that stand in a text as base64."""
    found = re.findall(r"[A-Za-z0-9+/]{80,}={0,2}", text.replace("\\n", ""))
    return [base64.b64decode(one + "=" * (-len(one) % 4)) for one in found if len(one.rstrip("=")) % 4 != 1]


def _images(text: str) -> list[np.ndarray]:
    """Every image that begins anywhere in those bytes, grey."""
    found = []
    for content in _contents(text):
        for mark in MARKS:
            for at in re.finditer(re.escape(mark), content):
                try:
                    image = Image.open(io.BytesIO(content[at.start() :])).convert("L")
                    found.append(np.asarray(image, dtype=np.float64))
                except OSError:
                    # Bytes that look like the beginning of an image and are none.
                    continue
        found += [one.mean(axis=2) / 257 for one in every_image(content)]
    return found


def _likeness(image: np.ndarray, pixels: np.ndarray) -> float:
    """How far an image of the image, bare or under a map, follows it: 0 to 1."""
    one, other = (
        np.asarray(Image.fromarray(levels.astype(np.uint8)).resize((24, 24)), dtype=np.float64).ravel()
        for levels in (image, 255 * pixels)
    )
    return abs(float(np.corrcoef(one, other)[0, 1])) if one.std() > 0 else 0.0


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """What a notebook holds that keeps no pixels."""
    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), before])
    try:
        yield _run("none", tmp_path_factory.mktemp("notebook"))
    finally:
        os.environ["PYTHONPATH"] = before


def _widgets(text: str) -> dict:
    states = json.loads(text)["metadata"]["widgets"]["application/vnd.jupyter.widget-state+json"]["state"]
    return {name: one for name, one in states.items() if "_pack" in str(one.get("buffers"))}


def test_the_search_finds_the_image_where_it_is():
    record = patchwork()
    text = json.dumps({"html": html.fragment(record), "pack": base64.b64encode(pack.pack(record)).decode()})
    alike = [_likeness(one, record.source_image.pixels) for one in _images(text)]
    assert sum(one > 0.95 for one in alike) >= 3


@pytest.mark.wide
def test_a_notebook_without_pixels_holds_none_in_any_encoding(saved):
    pixels = patchwork().source_image.pixels
    assert len(_widgets(saved)) == 3
    assert len(_images(saved)) > 10
    assert [one.shape for one in _images(saved) if _likeness(one, pixels) > 0.5] == []
    levels = np.rint(255 * pixels).astype(np.uint8)
    for content in (pixels.tobytes(), pixels[0].tobytes(), levels[0].tobytes(), levels[:, 0].tobytes()):
        assert all(content[:64] not in one for one in [saved.encode(), *_contents(saved)])
    outputs = [output for cell in json.loads(saved)["cells"] for output in cell["outputs"]]
    assert "image/png" not in {kind for output in outputs for kind in output["data"]}
    assert f"{pixels[0, 0]:.4f}" not in saved
    assert patchwork().source_image.sha256 not in saved


def test_a_notebook_holds_no_path(saved):
    outputs = [output for cell in json.loads(saved)["cells"] for output in cell["outputs"]]
    told = json.dumps(outputs) + json.dumps(_widgets(saved))
    for place in (ROOT, Path.home()):
        assert str(place) not in told
