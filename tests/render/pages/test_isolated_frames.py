"""In frames like those of VS Code and Colab an output is drawn, stays in its room, and needs nobody."""

from __future__ import annotations

import json
from dataclasses import replace

import nbformat
import numpy as np
import pytest
from PIL import Image

from groundviz.explanation import Explanation
from tests.support import records
from tests.support.browser import (
    TWO_FRAMES,
    bare,
    canvas,
    drawn,
    expected_of,
    needs_browser,
    only_in_chromium,
    whole,
)
from tests.support.frames import COLAB, HOSTS, ORDER, SCREEN, VSCODE, framed, put

pytestmark = [needs_browser, pytest.mark.wide]
DRAWN = ".gv-root[data-drawn]"
EVERY = pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
# Longer than a frame takes to follow its content once more.
STILL_FOR = 1500
GROUND = "one => getComputedStyle(one).getPropertyValue('--ground').trim()"
VIEWER_GROUND = "one => getComputedStyle(one).getPropertyValue('--gv-ground').trim()"
LOADED = "all => all.length > 0 && all.every(one => one.complete && one.naturalWidth > 0)"


@pytest.fixture(scope="module")
def record():
    return whole()


@pytest.fixture(scope="module")
def output(record):
    return Explanation(record)._repr_mimebundle_()


def _show(frame, output):
    only_in_chromium("clicks in frames within frames")
    assert put(frame, output) == "text/html"
    frame.wait_for_selector(DRAWN)


def _error(frame, expected) -> float:
    """The mean difference of what is drawn from what numpy blends, at the size that it is drawn in."""
    pixels = canvas(frame)
    bands = [Image.fromarray(expected[:, :, band].astype(np.uint8)) for band in range(3)]
    size = pixels.shape[1::-1]
    return float(
        np.abs(np.dstack([one.resize(size, Image.Resampling.BILINEAR) for one in bands]) - pixels).mean()
    )


def _at_rest(frame) -> list[float]:
    """The heights that the frame has had, once they change no more."""
    frame.evaluate(TWO_FRAMES)
    frame.page.wait_for_timeout(STILL_FOR)
    before = frame.page.evaluate("heights.length")
    frame.page.wait_for_timeout(STILL_FOR)
    heights = frame.page.evaluate("heights")
    assert len(heights) == before
    return heights


@EVERY
def test_pointing_at_a_word_shows_its_map_and_keys_stay_in_the_viewer(browser, record, output, host):
    with framed(browser, host) as frame:
        _show(frame, output)
        bare(frame)
        answer = frame.get_by_role("listbox", name="Tokens of the answer")
        with drawn(frame):
            answer.get_by_role("option", name="upper", exact=True).hover()
        assert _error(frame, expected_of(record, "attention", "upper")) < 2
        assert _error(frame, expected_of(record, "attention", "nodule")) > 4
        answer.get_by_role("option", name="left", exact=True).click()
        with drawn(frame):
            frame.page.keyboard.press("m")
        assert frame.get_attribute(".gv-root", "data-drawn") == "occlusion|3|-1|-1"
        assert frame.page.evaluate("keys") == []
        frame.evaluate("document.activeElement.blur()")
        frame.page.keyboard.press("j")
        frame.page.wait_for_function("keys.join() === 'j'")


@pytest.mark.parametrize(("width", "cols"), [(SCREEN["width"], 560), (620, 280)], ids=["wide", "narrow"])
@EVERY
def test_a_frame_that_follows_its_content_comes_to_rest(browser, host, width, cols):
    output = Explanation(records.record(560, cols))._repr_mimebundle_()
    with framed(browser, host, viewport={**SCREEN, "width": width}) as frame:
        _show(frame, output)
        _at_rest(frame)
        # The image takes no more than a screen, however high the frame is.
        assert 160 <= frame.locator(".gv-frame").bounding_box()["height"] <= SCREEN["height"]


@pytest.mark.parametrize(
    ("host", "dark"),
    [(VSCODE, True), (VSCODE, False), (COLAB, True)],
    ids=["VS Code dark", "light", "Colab dark"],
)
def test_the_theme_of_the_host_counts_not_that_of_the_system(browser, output, host, dark):
    with framed(browser, host, dark=dark, color_scheme="light" if dark else "dark") as frame:
        _show(frame, output)
        grounds = (
            frame.locator(".groundviz").evaluate(GROUND),
            frame.locator(".gv-root").evaluate(VIEWER_GROUND),
        )
        assert grounds == (("#0e1013", "#16191d") if dark else ("#f6f7f8", "#ffffff"))


def test_themes_of_high_contrast_are_dark_or_light_as_well(browser, output):
    for more, dark in (
        ("vscode-high-contrast", True),
        ("vscode-high-contrast-light vscode-high-contrast", False),
    ):
        host = replace(VSCODE, dark=("", more))
        with framed(browser, host, dark=True, color_scheme="light" if dark else "dark") as frame:
            _show(frame, output)
            ground = frame.locator(".gv-root").evaluate(VIEWER_GROUND)
            assert ground == ("#16191d" if dark else "#ffffff")


@EVERY
def test_two_outputs_of_one_explanation_do_not_touch_each_other(browser, output, host):
    with framed(browser, host) as frame:
        for count in (1, 2):
            put(frame, output)
            frame.locator(DRAWN).nth(count - 1).wait_for()
        first, second = frame.locator(".gv-root").all()
        second.get_by_role("option", name="upper", exact=True).first.click()
        frame.wait_for_selector('.gv-root[data-drawn="attention|4|-1|-1"]')
        assert first.get_attribute("data-drawn") == "attention|0,1,2,3,4,5,6|-1|-1"
        assert second.get_attribute("data-drawn") == "attention|4|-1|-1"
        _at_rest(frame)


@EVERY
def test_a_saved_notebook_shows_both_viewers_without_a_kernel(browser, output, host, record):
    pytest.importorskip("anywidget", reason="not installed: anywidget")
    view = Explanation(record).view()
    widget = {"application/vnd.jupyter.widget-view+json": {"model_id": view.model_id}, "text/plain": ""}
    shown = [output, widget, {"text/html": view._snapshot(), "text/plain": ""}]
    outputs = [nbformat.v4.new_output("display_data", data=one) for one in shown]
    cell = nbformat.v4.new_code_cell("explanation", outputs=outputs)
    text = nbformat.writes(nbformat.v4.new_notebook(cells=[cell]))
    with framed(browser, host) as frame:
        for one in json.loads(text)["cells"][0]["outputs"]:
            put(frame, {kind: "".join(data) for kind, data in one["data"].items() if kind in ORDER})
        frame.locator(DRAWN).nth(1).wait_for()
        for root in frame.locator(".gv-root").all():
            assert root.is_visible()
            root.get_by_role("option", name="zone", exact=True).first.click()
        frame.wait_for_function(
            "() => document.querySelectorAll('.gv-root[data-drawn=\"attention|5|-1|-1\"]').length === 2"
        )


@EVERY
def test_where_nothing_is_trusted_the_image_is_shown(browser, output, host):
    with framed(browser, host) as frame:
        assert put(frame, output, kinds=host.trusted) == "image/png"
        frame.wait_for_selector("img")
        assert frame.locator("img").evaluate_all(LOADED)
        assert frame.locator("script[data-gv-pack], .gv-root").count() == 0


@EVERY
def test_where_no_script_runs_the_static_images_are_shown(browser, output, host):
    with framed(browser, replace(host, again="")) as frame:
        put(frame, output)
        images = frame.locator(".groundviz .views img")
        images.first.wait_for(state="visible")
        assert images.evaluate_all(LOADED)
        assert frame.locator(".gv-root").count() == 0


def test_what_needs_the_window_stays_in_sight_in_a_frame_as_high_as_its_notebook(browser, output):
    with framed(browser, VSCODE) as frame:
        _show(frame, output)
        frame.get_by_role("option", name="upper", exact=True).first.click()
        root = frame.locator(".gv-root")
        frame.page.keyboard.press("l")
        wall = frame.locator(".gv-wall")
        wall.wait_for()
        assert abs(wall.bounding_box()["y"] - root.bounding_box()["y"]) < 5
        assert wall.bounding_box()["height"] <= SCREEN["height"]
        with drawn(frame):
            frame.get_by_role("button", name="Close", exact=True).click()
            frame.get_by_role("option", name="left", exact=True).first.click()
        # No frame gets the whole screen here: all but the images is hidden instead, and comes back.
        for hidden in (True, False):
            with drawn(frame):
                frame.get_by_role("button", name="Full screen", exact=True).click()
            frame.locator(".gv-head").wait_for(state="hidden" if hidden else "visible")
            assert frame.locator(".gv-frame").bounding_box()["height"] <= SCREEN["height"]
