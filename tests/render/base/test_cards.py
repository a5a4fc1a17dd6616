"""What a map, a list of methods and a certificate show of themselves in a notebook."""

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import groundviz
from groundviz.cards import Table, card
from groundviz.models.certification.certificate import Certificate
from groundviz.record.types import Check
from groundviz.registry import Registry
from groundviz.render.base import cards
from tests.support import records


def heatmap():
    one = records.record(96, 192, cells=14)
    return one.heatmaps[0].at(one.target)


def test_a_map_shows_a_small_image_and_its_numbers():
    one = heatmap()
    html = one._repr_html_()
    assert html is not None
    assert len(html) < 20_000
    assert f"<td>{one.values.max():.4g}</td>" in html
    assert "<td>share of attention</td>" in html
    (size,) = re.findall(r'width="(\d+)" height="(\d+)"', html)
    assert max(map(int, size)) <= 2 * 168


def test_cells_are_as_high_and_wide_as_they_lie_on_the_image():
    grid = records.grid_over((0, 0, 40, 120), (4, 4))
    one = replace(heatmap(), grid=grid, values=np.arange(16, dtype=np.float32).reshape(4, 4))
    ((width, height),) = re.findall(r'width="(\d+)" height="(\d+)"', one._repr_html_() or "")
    assert int(width) == 3 * int(height)


def test_a_map_without_evidence_shows_no_image_and_says_why():
    html = replace(heatmap(), values=np.ones((14, 14), np.float32))._repr_html_()
    assert html is not None
    assert "<img" not in html
    assert "holds no evidence" in html


def test_cells_without_a_value_are_hatched_and_counted(monkeypatch):
    one = heatmap()
    values = one.values.copy()
    values[:7] = np.nan
    seen: list[np.ndarray] = []
    monkeypatch.setattr("groundviz.render.base.overlay.png", lambda p: seen.append(p) or _png())
    html = replace(one, values=values)._repr_html_()
    assert "<td>98</td>" in (html or "")
    above, below = np.split(seen[0], 2)
    # Grey lines on black, and no colour; below, the colours of the map.
    assert (np.ptp(above, axis=2) < 1e-6).all()
    assert above.max() > 0.2
    assert np.ptp(below, axis=2).max() > 0.2


def _png() -> bytes:
    from io import BytesIO

    stream = BytesIO()
    Image.new("L", (1, 1)).save(stream, "PNG")
    return stream.getvalue()


def test_whatever_a_map_is_called_is_text():
    sly = replace(heatmap(), method="<script>alert(1)</script>", unit="a<b")
    html = sly._repr_html_() or ""
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_methods_show_themselves_as_a_table():
    html = groundviz.METHODS._repr_html_()
    assert html is not None
    assert html.count("<tr>") == 1 + len(groundviz.METHODS)
    assert "methods</caption>" in html


def test_a_certificate_shows_its_checks():
    check = Check(name="geometry", value=0.1, reference=0.5, verdict="passed", says="0.1 patches < 0.5.")
    made = Certificate(
        model="x<y", family="llava", shapes=((8, 8),), steps={}, unseen=(0.0,), checks=(check,), seconds=1.0
    )
    html = made._repr_html_() or ""
    assert "x&lt;y (llava): certified" in html
    assert "0.1 patches &lt; 0.5." in html
    assert repr(made) == "<Certificate: 'x<y' (llava), certified, 1 checks, 1.0 s>"


def test_an_empty_table_and_an_unknown_thing():
    assert card(object()) is None
    table = Table(title="nothing", head=("name",), rows=())
    assert card(table) == cards.element("div", cards.table(table), class_="groundviz").markup
    assert "0 greetings" in (Registry[str]("greeting", "groundviz.none")._repr_html_() or "")


@pytest.mark.parametrize("ready", ["groundviz.Heatmap", "groundviz.open"])
def test_who_came_through_the_front_door_sees_images(ready):
    code = (
        f"import groundviz; {ready}; from groundviz.cards import Table, card; import sys;"
        "print(card(Table(title='t', head=(), rows=())) is not None, 'torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["True", "False"]


def test_a_map_of_a_large_images_pixels_stays_small():
    values = np.random.default_rng(5).random((700, 350)).astype(np.float32)
    one = replace(heatmap(), grid=records.grid_over((0, 0, 700, 350), (700, 350)), values=values)
    html = one._repr_html_() or ""
    assert re.findall(r'width="(\d+)" height="(\d+)"', html) == [("168", "336")]
    assert len(html) < 400_000
