"""The charts of a phantom's explanation, photographed in Chromium: a part of `python scripts/doc_images.py`.

Needs Chromium on the path and the packages of the extras "browser" and "charts". The charts are those of
the demo model; nothing is retouched.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import groundviz
from benchmarks.browser import launched
from groundviz.demo.samples import SAMPLES, to_levels
from scripts.demo_gallery import WHERE

WIDTH, HEIGHT, SHARP = 720, 480, 1.5
# What plotly puts there once a chart is drawn.
DRAWN = ".js-plotly-plot .main-svg"


def charts(vlm: Any) -> Iterator[tuple[str, bytes]]:
    """The name and the PNG of every chart, one by one.

    Args:
        vlm: The demo model, as `groundviz.load` returns it.
    """
    shown = dict(_charts(vlm))
    with launched() as browser, tempfile.TemporaryDirectory() as folder:
        for name, chart in shown.items():
            chart.update_layout(width=WIDTH, height=HEIGHT)
            place = Path(folder) / f"{name}.html"
            page = chart.to_html(include_plotlyjs=True, full_html=True, config={"displayModeBar": False})
            place.write_text(page, "utf-8")
            yield name, _photograph(browser, place.as_uri())


def _charts(vlm: Any) -> Iterator[tuple[str, Any]]:
    """Which head attends to a nodule, and at which layer which method finds it."""
    sample = next(one for one in SAMPLES if one.name == "nodule")
    sick = sample.draw()
    methods = ["attention", "gradient_attention", "stage_audit"]
    found = groundviz.explain(vlm, to_levels(sick.pixels, 8), WHERE, methods=methods)
    truth = sick.mask("nodule")
    yield "chart_heads", found.charts.heads("attention", mask=truth)
    yield "chart_layers", found.charts.layers(truth)


def _photograph(browser: Any, address: str) -> bytes:
    """A chart as a window of its own size shows it."""
    size = {"width": WIDTH, "height": HEIGHT}
    context = browser.new_context(viewport=size, device_scale_factor=SHARP, color_scheme="light")
    page = context.new_page()
    page.goto(address)
    page.add_style_tag(content="body { margin: 0; }")
    page.wait_for_selector(DRAWN)
    content = bytes(page.screenshot())
    context.close()
    return content
