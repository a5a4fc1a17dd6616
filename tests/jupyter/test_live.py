"""`view()` in JupyterLab with its kernel: what is pointed at is drawn, and what is chosen is known in Python.

pip install ".[test,browser]" && pytest -m jupyter
"""

from __future__ import annotations

import numpy as np
import pytest

from groundviz.record.targets import find
from groundviz.render.base import escape
from tests.jupyter import cases, notebook
from tests.jupyter.notebook import PANEL, Viewer
from tests.support.browser import expected_of

pytestmark = pytest.mark.jupyter

CELLS = (
    "from groundviz.explanation import Explanation\n"
    "from tests.jupyter import cases\n"
    "explanation = Explanation(cases.case())",
    "explanation",
    "live = explanation.view()\nlive",
    "large = Explanation(cases.large()).view(contour=False)\nlarge",
    "Explanation(cases.hostile())",
    "sly = Explanation(cases.hostile()).view()\nsly",
)
WHOLE = "attention|0,1,2,3,4,5,6|-1|-1"
BEGIN = """
from groundviz.render.live.widget import GroundViewer
known = GroundViewer.class_own_traits(sync=True)
begun = {name: getattr(live, name) for name in known if not name.startswith("_")}
"""
RESET = """
with live.hold_sync():
    for name, value in begun.items():
        setattr(live, name, value)
"""
# Counts what the page sends to its server from now on.
LISTEN = """() => {
  const { send } = WebSocket.prototype;
  window.sent = 0;
  WebSocket.prototype.send = function (data) { window.sent++; return send.call(this, data); };
}"""


@pytest.fixture(scope="module")
def page(lab, opened):
    """A notebook that was run."""
    notebook.write(lab.folder / "live.ipynb", *CELLS)
    with opened("live.ipynb") as page:
        page.run()
        page.live.wait()
        page.python(BEGIN)
        to_the_pixel(page)
        yield page


def to_the_pixel(page):
    """Give the window such a height that a pixel of the image is one of the screen."""
    page.live.wait()
    lacking = page.live.root.locator(".gv-frame canvas").evaluate(
        "(one, side) => side - one.clientHeight", cases.SIDE
    )
    size = page.page.viewport_size
    page.page.set_viewport_size({**size, "height": size["height"] + lacking})
    page.page.wait_for_timeout(500)


@pytest.fixture
def live(page):
    """The viewer of its third cell, as it was at first."""
    page.live.away()
    # A viewer tells Python of a change once it has rested for a moment.
    page.page.wait_for_timeout(500)
    page.python(RESET)
    page.live.shows(WHOLE)
    page.live.root.scroll_into_view_if_needed()
    return page.live


def _alike(found: np.ndarray, expected: np.ndarray, cells: int) -> None:
    assert found.shape == expected.shape
    centres = ((np.arange(cells) + 0.5) * cases.SIDE / cells).astype(int)
    at = np.ix_(centres, centres)
    assert np.abs(found[at] - expected[at]).mean() < 1.0
    assert np.abs(found - expected).mean() < 1.0


def test_the_token_under_the_pointer_is_drawn_and_python_hears_nothing(page, live):
    page.page.evaluate(LISTEN)
    before = live.pixels()
    for at, name in ((4, "upper"), (0, "nodule"), (5, "zone")):
        live.token(name).hover()
        live.shows(f"attention|{at}|-1|-1")
        assert np.abs(live.pixels() - before).mean() > 0.5
    live.away()
    live.shows(WHOLE)
    np.testing.assert_array_equal(live.pixels(), before)
    page.page.wait_for_timeout(300)
    assert page.page.evaluate("sent") == 0
    live.token("nodule").click()
    page.page.wait_for_function("() => sent > 0")
    page.becomes("live.selected", [0])


def test_a_phrase_that_is_chosen_is_known_in_python(page, live):
    live.token("the").click()
    live.token("upper").click(modifiers=["Shift"])
    page.becomes("live.selected", [2, 3, 4])
    live.token("nodule").click(modifiers=["Control"])
    page.becomes("live.selected", [0, 2, 3, 4])
    assert live.chosen() == ["nodule", "the", "left", "upper"]
    live.root.get_by_label("Method", exact=True).select_option("occlusion")
    page.becomes("[live.selected, live.method]", [[0, 2, 3, 4], "occlusion"])


def test_what_python_assigns_is_shown(page, live):
    page.python("heard = []; live.observe(lambda change: heard.append(change.new), 'selected')")
    page.python("live.selected, live.layer, live.method, live.opacity = [2, 3], 4, 'occlusion', 0.25")
    live.shows("occlusion|2,3|4|-1")
    assert live.chosen() == ["the", "left"]
    assert live.root.get_by_label("Method", exact=True).input_value() == "occlusion"
    assert live.root.get_by_label("Opacity").input_value() == "25"
    live.token("zone").click()
    page.becomes("heard", [[2, 3], [5]])


@pytest.mark.parametrize(
    ("method", "part", "at"),
    [
        ("attention", "nodule", {}),
        ("attention", "upper", {"layer": 3}),
        ("attention", "left", {"layer": 2, "head": 1}),
        ("attention", "zone", {"smooth": True}),
        ("occlusion", "nodule", {}),
        ("occlusion", "upper", {"layer": 5}),
    ],
)
def test_its_pixels_are_what_numpy_blends(page, live, method, part, at):
    record = cases.case()
    (token,) = find(record.answer, part).tokens
    state = {"method": method, "selected": [token], "contour": False, "fill": True, **at}
    page.python(f"with live.hold_sync():\n    for pair in {state!r}.items(): setattr(live, *pair)")
    live.shows(f"{method}|{token}|{at.get('layer', -1)}|{at.get('head', -1)}")
    expected = expected_of(record, method, part, **at)
    _alike(live.pixels(), expected, 14)
    assert np.abs(expected - 255.0 * record.source_image.pixels[..., None]).mean() > 1.5


def test_heads_that_were_left_out_are_fetched_when_asked_for(page, live):
    record = cases.large()
    large = Viewer(page.page.locator(notebook.LIVE).nth(1)).wait()
    large.root.scroll_into_view_if_needed()
    detail = large.root.locator(".gv-detail").first
    page.python("large.selected, large.layer, large.head = [0], 7, 1")
    large.shows("attention|0|7|1")
    detail.get_by_text("layer 7, head 1").wait_for()
    large.root.locator(".gv-none").wait_for(state="hidden")
    _alike(large.pixels(), expected_of(record, "attention", "nodule", layer=7, head=1), 70)


def test_keys_that_are_typed_into_it_edit_no_cell(page, live):
    state = f"[{PANEL}.content.activeCellIndex, {PANEL}.content.mode]"
    live.token("nodule").click()
    before = page.cells(), page.page.evaluate(state)
    focusable = "select, input, button, summary, [tabindex='0']"
    reached = live.root.locator(focusable).locator("visible=true").all()
    assert len(reached) > 15
    for one in reached:
        one.focus()
        for key in (*"abcvxyzmrjk1", "d", "d", "0", "0", "Shift+m", "Shift+v", "ArrowDown", "ArrowUp"):
            page.page.keyboard.press(key)
        assert (page.cells(), page.page.evaluate(state)) == before
    live.root.evaluate("root => root.ownerDocument.activeElement.blur()")
    page.page.evaluate(f"() => {{ {PANEL}.content.activate(); }}")
    page.page.keyboard.press("b")
    page.page.wait_for_function("count => panel.content.model.cells.length === count", arg=len(CELLS) + 1)
    page.page.keyboard.press("d")
    page.page.keyboard.press("d")
    page.page.wait_for_function("count => panel.content.model.cells.length === count", arg=len(CELLS))


def test_dragging_with_the_right_button_sets_the_window_and_opens_no_menu(page, live):
    menu = page.page.locator(".lm-Menu")
    canvas = live.root.locator(".gv-frame canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.page.mouse.move(x, y)
    page.page.mouse.down(button="right")
    page.page.mouse.move(x - 40, y + 10)
    page.page.mouse.move(x - 60, y + 30)
    page.page.mouse.up(button="right")
    page.becomes("[round(live.window, 3), round(live.level, 3)]", [0.787, 0.6])
    for place in (canvas, live.token("nodule"), live.root.get_by_label("Method", exact=True)):
        place.click(button="right")
        assert menu.count() == 0
    page.page.locator(".jp-InputPrompt").first.click(button="right")
    menu.first.wait_for()
    page.page.keyboard.press("Escape")
    menu.first.wait_for(state="detached")


@pytest.mark.parametrize(("cell", "name"), [(1, "explanation"), (2, "view")])
def test_a_new_view_of_the_output_is_interactive_as_well(page, live, cell, name):
    page.page.evaluate(f"() => {{ {PANEL}.content.activeCellIndex = {cell}; }}")
    page.page.evaluate("jupyterapp.commands.execute('notebook:create-output-view')")
    second = Viewer(page.page.locator(".jp-LinkedOutputView .gv-root")).wait()
    with second.redrawn():
        second.token("upper").hover()
    second.shows("attention|4|-1|-1")
    second.token("left").click()
    second.away()
    second.shows("attention|3|-1|-1")
    assert second.chosen() == ["left"]
    if name == "view":
        page.becomes("live.selected", [3])
        live.shows("attention|3|-1|-1")
    page.page.evaluate("jupyterapp.shell.currentWidget.close()")
    second.root.wait_for(state="detached")


@pytest.mark.parametrize("which", [notebook.LIVE, notebook.STILL])
def test_hostile_words_stay_words(page, live, which):
    sly = Viewer(page.page.locator(which).last).wait()
    sly.root.scroll_into_view_if_needed()
    spelled = [escape.visible(word.strip()) for word in cases.HOSTILE]
    assert sly.root.locator(".gv-token").all_text_contents()[: len(spelled)] == spelled
    for name in spelled:
        sly.token(name).click()
        # What the pointer passed on its way may still be drawn first.
        for _ in range(50):
            if sly.chosen() == [name]:
                break
            page.page.wait_for_timeout(100)
        assert sly.chosen() == [name]
    assert sly.root.locator(".gv-question").inner_text() == "<svg onload=window.pwned=1>"
    assert sly.root.locator("img, svg, script, a, iframe").count() == 0
    shown = page.page.locator(".jp-OutputArea-output")
    assert shown.locator("a[href], [onerror], [onload], svg, iframe").count() == 0
    assert page.page.evaluate("window.pwned") is None
    assert page.page.evaluate("window.top === window && location.pathname.endsWith('live.ipynb')")


def test_what_stands_in_for_the_live_viewer_stays_behind_it(page, live):
    stands_in = page.page.locator("[data-gv]:not([data-gv=''])")
    assert stands_in.count() == 3
    # It waits for its live viewer for two and a half seconds.
    page.page.wait_for_timeout(3000)
    assert [one.is_visible() for one in stands_in.all()] == [False] * 3
