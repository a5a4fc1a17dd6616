"""A page in a real browser: found where Debian puts it, reaching nobody, watched for errors.

Needs the `playwright` package and a Chromium on the path; nothing is downloaded. Without them the tests
that use it are skipped, unless GROUNDVIZ_REQUIRE_BROWSER is set. GROUNDVIZ_BROWSER=firefox takes Firefox.
"""

import base64
import importlib.util
import io
import os
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from benchmarks.browser import CHOSEN, found
from groundviz.record.targets import find
from groundviz.record.types import Heatmap
from groundviz.render.base import overlay
from groundviz.render.base.colour import Scale, scales
from groundviz.render.figures.file import PaperFigure
from groundviz.render.pages import html
from groundviz.render.viewer import assets, pack
from tests.support import records

NEEDED = {"playwright": importlib.util.find_spec("playwright"), CHOSEN: found()}
MISSING = [name for name, there in NEEDED.items() if not there]
needs_browser = pytest.mark.skipif(
    bool(MISSING) and not os.environ.get("GROUNDVIZ_REQUIRE_BROWSER"),
    reason=f"not installed: {', '.join(MISSING)}",
)
# Of a browser context: what the driver of a Firefox that playwright did not build leaves as it is.
LEFT_ALONE = {"java_script_enabled", "forced_colors", "reduced_motion", "color_scheme", "has_touch"}
# Resolves when what was asked for before has been drawn.
TWO_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
SIDE, MOST_STEPS = 560, 9
SCREEN = {"width": 1180, "height": 875}
# How much higher a window must be for an image that is not wide, alone in it, to be SIDE pixels high.
LACKING = """side => {
  const all = document.querySelectorAll(".gv-frame canvas");
  if (all.length !== 1 || !all[0].clientHeight || all[0].width > all[0].height) return 0;
  return side - all[0].clientHeight;
}"""


def only_in_chromium(what):
    """Skip a test of what cannot be driven in Firefox."""
    if CHOSEN != "chromium":
        pytest.skip(f"{CHOSEN} cannot be driven to it: {what}")


@contextmanager
def shown(browser, folder, text, *, wait=".gv-root[data-drawn]", **options):
    """A page in the browser; it asks nobody for anything and raises nothing."""
    if left := LEFT_ALONE.intersection(options):
        only_in_chromium(", ".join(sorted(left)))
    place = folder / "page.html"
    place.write_text(text, encoding="utf-8")
    context = browser.new_context(**{"viewport": SCREEN, **options})
    asked, raised = [], []
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: raised.append(str(error)))
    page.on("console", lambda line: raised.append(line.text) if line.type == "error" else None)
    page.goto(place.as_uri())
    page.wait_for_selector(wait)
    if "viewport" not in options and wait == ".gv-root[data-drawn]":
        to_the_pixel(page)
    yield page
    assert [url for url in asked if not url.startswith(("data:", place.as_uri()))] == []
    assert raised == []
    context.close()


def to_the_pixel(page):
    """Give the window such a height that a pixel of an image of SIDE by SIDE is one of the screen."""
    # What stands around the image may grow by a pixel with the window.
    for _ in range(MOST_STEPS):
        lacking = page.evaluate(LACKING, SIDE)
        if not lacking:
            return
        size = page.viewport_size
        page.set_viewport_size({**size, "height": size["height"] + lacking})
        page.wait_for_function("height => innerHeight === height", arg=size["height"] + lacking)
        page.evaluate(TWO_FRAMES)
    assert not lacking


@contextmanager
def drawn(page):
    """Wait until something that is done here has been drawn, and nothing that was done before."""
    page.evaluate(TWO_FRAMES)
    before = int(page.get_attribute(".gv-root", "data-seq"))
    yield
    page.wait_for_function("before => +document.querySelector('.gv-root').dataset.seq > before", arg=before)


def page_of(record) -> str:
    return html.page([record], [PaperFigure(Figure(figsize=(0.1, 0.1)), "A caption.")])


def whole(cells: int = 14, **options):
    """A record whose cells cover all of a SIDE by SIDE image."""
    made = records.record(SIDE, SIDE, cells=cells, **options)
    return replace(made, checks=(), scores=())


def press(page, *keys):
    for key in keys:
        with drawn(page):
            page.keyboard.press(key)


def canvas(page, at: int = 0, kind: str = ".gv-frame canvas") -> np.ndarray:
    """The pixels of a pane, or of a canvas of another kind, float (rows, cols, 3) in 0 to 255."""
    url = page.locator(kind).nth(at).evaluate("one => one.toDataURL('image/png')")
    with Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))) as image:
        return np.asarray(image.convert("RGB"), dtype=np.float64)


def bare(page):
    """Colours without outlines."""
    page.get_by_label("Outline").uncheck()
    page.wait_for_function("() => document.querySelector('.gv-legend').textContent.indexOf('Outlined') < 0")


def shown_map(record, method: str, part, *, layer=None, head=None) -> tuple[Heatmap, Scale]:
    """A map as the viewer shows it, with its scale, which is one for the maps of all words."""
    maps = next(one for one in record.heatmaps if one.method == method)
    heatmap = maps.at(find(record.answer, part), layer=layer, head=head)
    # A sum over words is held against maps of one word.
    if maps.reduce[0] == "sum":
        heatmap = replace(heatmap, values=heatmap.values / len(heatmap.target.tokens))
    words = [maps.at(one, layer=layer, head=head) for one in maps.targets if len(one.tokens) == 1]
    scale, *_ = scales([heatmap, *words])
    assert scale is not None
    return heatmap, scale


def expected_of(record, method: str, part, *, smooth: bool = False, layer=None, head=None) -> np.ndarray:
    """What numpy draws of a map, float (rows, cols, 3) in 0 to 255."""
    heatmap, scale = shown_map(record, method, part, layer=layer, head=head)
    source_image = record.source_images[heatmap.grid.image]
    return 255.0 * overlay.overlaid(source_image, source_image.shape, heatmap, scale, smooth=smooth)


# A page that hosts the viewer as a notebook does.
LIVE = """([payload, values]) => {
  const bytes = (text) => new DataView(Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer);
  const calls = {};
  window.model = {
    values: { _pack: bytes(payload), ...values }, sent: [],
    get(name) { return this.values[name]; },
    set(name, value) { this.values[name] = value; },
    on(event, call) { calls[event] = call; }, off() {}, save_changes() {},
    send(wish) { this.sent.push(wish); },
    now(values) { Object.assign(this.values, values); calls.change(); },
    hear(content, blob) { return calls["msg:custom"](content, blob ? [bytes(blob)] : []); },
  };
  return render({ model, el: document.body });
}"""


def live(page, record, *, detail=None, **values):
    """Show a record as a live widget does, with a model whose messages are kept in `model.sent`."""
    page.evaluate(LIVE, [base64.b64encode(pack.pack(record, detail=detail)).decode(), values])
    page.wait_for_selector(".gv-root[data-drawn]")
    to_the_pixel(page)


MODULE = assets.module().replace("export default { render };", "window.render = render;")
HOST = f"<!DOCTYPE html><style>{assets.style()}</style><body><p>Notebook</p><script>{MODULE}</script></body>"
