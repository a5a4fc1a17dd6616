"""Slices of a stack in a real browser: turned by wheel, keys, pointer and touch, and where the map lies."""

from dataclasses import replace

import numpy as np
import pytest

from groundviz.record import stacks
from groundviz.record.targets import find
from groundviz.record.types import Slice, StoredValues
from groundviz.render.pages import html
from tests.support import records
from tests.support.browser import HOST, drawn, live, needs_browser, page_of, press, shown

pytestmark = needs_browser
LOW = {"width": 1180, "height": 640}
EVERY_WINDOW_IS = "text => [...document.querySelectorAll('.gv-shown')].every(one => one.textContent === text)"
WEIGHTS = (1.0, 3.0, 2.0, 1.0, 0.5)


@pytest.fixture(scope="module")
def record():
    return records.stack(WEIGHTS)


def slice_of(page, at: int = 0) -> str:
    return page.locator(".gv-place").nth(at).inner_text()


def bars_of(page) -> list[float]:
    js = "all => all.map(one => +one.style.getPropertyValue('--gv-share'))"
    return page.locator(".gv-bars > span").evaluate_all(js)


def turn(page, pixels: int):
    with drawn(page):
        page.mouse.wheel(0, pixels)


def over(page):
    box = page.locator(".gv-frame canvas").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 30)


def test_the_wheel_turns_slices_and_at_the_end_the_page(browser, tmp_path, record):
    with shown(browser, tmp_path, page_of(record), viewport=LOW) as page:
        # It opens on the slice that holds most, in one pane.
        assert page.locator(".gv-pane").count() == 1
        assert slice_of(page) == "12 of 20  H 55.0 mm"
        assert "Slice 12 of 20" in page.inner_text(".gv-detail")
        assert not page.get_by_label("Image", exact=True).is_visible()
        before = page.locator(".gv-frame canvas").evaluate("one => one.toDataURL()")
        over(page)
        turn(page, 120)
        assert slice_of(page) == "13 of 20  H 60.0 mm"
        assert page.locator(".gv-frame canvas").evaluate("one => one.toDataURL()") != before
        assert page.inner_text(".gv-summit").endswith("of slice 12 of 20")
        # The place under the pointer is one of the slice that came.
        assert page.locator(".gv-tip").is_visible()
        turn(page, 480)
        assert slice_of(page) == "15 of 20  H 70.0 mm"
        # At its end it does not run on into the page, unless turned anew.
        page.mouse.wheel(0, 120)
        page.wait_for_timeout(100)
        assert page.evaluate("scrollY") == 0
        page.wait_for_timeout(550)
        page.mouse.wheel(0, 120)
        page.wait_for_function("() => scrollY > 50")
        page.evaluate("scrollTo(0, 0)")
        page.keyboard.down("Control")
        turn(page, -200)
        page.keyboard.up("Control")
        assert slice_of(page) == "15 of 20  H 70.0 mm"
        assert page.locator(".gv-root").evaluate("one => one.hasAttribute('data-near')")


def test_the_strip_is_what_numpy_adds_up(browser, tmp_path, record):
    share = stacks.shares(record, "attention", record.target, tuple(range(5)))
    with shown(browser, tmp_path, page_of(record)) as page:
        np.testing.assert_allclose(bars_of(page), share / share.max(), atol=0.02)
        text = page.inner_text(".gv-says").replace("\N{NO-BREAK SPACE}", " ")
        assert text == "Share of the map in this stack, by slice: highest 40 % on slice 12, here 40 %"
        # Of the word that is pointed at; here the maps of one word are the same on all slices but one.
        maps = list(record.heatmaps)
        values = maps[4].values.copy()
        values[0] *= 50
        maps[4] = replace(maps[4], values=values)
        changed = replace(record, heatmaps=tuple(maps))
    with shown(browser, tmp_path, page_of(changed)) as page:
        with drawn(page):
            page.get_by_role("option", name="nodule").hover()
        share = stacks.shares(changed, "attention", find(changed.answer, "nodule"), tuple(range(5)))
        assert int(share.argmax()) == 4
        np.testing.assert_allclose(bars_of(page), share / share.max(), atol=0.02)
        assert "on slice 15, here" in page.inner_text(".gv-says")
        with drawn(page):
            page.get_by_role("option", name="</s>").hover()
        assert page.inner_text(".gv-says") == "Map by slice: not measured."


def test_keys_pointer_and_touch_turn_slices(browser, tmp_path, record):
    with shown(browser, tmp_path, page_of(record), viewport=LOW, has_touch=True) as page:
        page.locator(".gv-frame canvas").focus()
        press(page, "PageDown", "PageDown")
        assert slice_of(page).startswith("14 of 20")
        press(page, "PageUp")
        assert slice_of(page).startswith("13 of 20")
        slider = page.get_by_role("slider", name="Slice")
        slider.focus()
        press(page, "PageDown")
        assert slice_of(page).startswith("14 of 20")
        press(page, "Home", "ArrowRight")
        assert slice_of(page).startswith("12 of 20")
        told = slider.get_attribute("aria-valuetext")
        assert told == "slice 12 of 20  H 55.0 mm, here 40\N{NO-BREAK SPACE}%"
        box = slider.bounding_box()
        each = box["width"] / len(WEIGHTS)
        y = box["y"] + box["height"] / 2
        with drawn(page):
            page.mouse.click(box["x"] + 3.5 * each, y)
        assert slice_of(page).startswith("14 of 20")
        assert box["height"] >= 40
        with drawn(page):
            page.touchscreen.tap(box["x"] + 0.5 * each, y)
        assert slice_of(page).startswith("11 of 20")
        assert page.evaluate("scrollY") == 0


def hounsfield(one, stack: int, *, centre: float, width: float):
    """The image as a CT slice from -1000 to 1000 HU that was read in a window."""
    codes = np.rint(2000 * one.pixels).astype(np.uint16)
    low = centre - width / 2
    pixels = np.clip((codes - 1000.0 - low) / width, 0.0, 1.0).astype(np.float32)
    stored = StoredValues(codes=codes, low=-1000.0, step=1.0, unit="HU")
    place = Slice(stack=stack, number=one.slice.number, of=one.slice.of)
    return replace(one, pixels=pixels, stored=stored, window=(centre, width), slice=place)


def windows_of(page) -> list[str]:
    return page.locator(".gv-shown").all_inner_texts()


def prior_and_current():
    prior, current = records.stack((1.0, 3.0, 1.0)), records.stack((1.0, 1.0, 3.0, 2.0))
    slices = [hounsfield(one, 0, centre=40, width=400) for one in prior.source_images]
    slices += [hounsfield(one, 1, centre=50, width=350) for one in current.source_images]
    grids = [records.grid_over((0, 0, 96, 96), (8, 8), image=at) for at in range(len(slices))]
    return records.record_of(slices, grids), prior, current


def test_prior_and_current_share_zoom_and_window_and_not_their_slices(browser, tmp_path):
    both, prior, current = prior_and_current()
    with shown(browser, tmp_path, page_of(both)) as page:
        assert page.locator(".gv-pane").count() == 2
        # As the model saw them, each in its own window.
        assert windows_of(page) == ["C 40  W 400", "C 50  W 350"]
        with drawn(page):
            page.get_by_label("Window", exact=True).select_option(label="Lung (C -600 W 1500)")
        assert windows_of(page) == ["C \N{MINUS SIGN}600  W 1500"] * 2
        first, second = slice_of(page), slice_of(page, 1)
        page.locator(".gv-frame canvas").nth(1).focus()
        press(page, "PageDown", "+")
        assert slice_of(page) == first
        assert slice_of(page, 1) != second
        with drawn(page):
            page.get_by_label("Image", exact=True).select_option(label="Stack 2")
        assert page.locator(".gv-pane").count() == 1
        assert slice_of(page) != second
    sides = []
    for name, one, window in (("Prior", prior, (40, 400)), ("Current", current, (50, 350))):
        images = [hounsfield(each, 0, centre=window[0], width=window[1]) for each in one.source_images]
        sides.append(html.Side(name, replace(one, source_images=tuple(images))))
    text = f"<!DOCTYPE html><body>{html.comparison_fragment(sides)}</body>"
    with shown(browser, tmp_path, text) as page:
        page.get_by_label("Window", exact=True).select_option(label="Bone (C 500 W 2000)")
        page.wait_for_function(EVERY_WINDOW_IS, arg="C 500  W 2000")
        first, second = slice_of(page), slice_of(page, 1)
        page.locator(".gv-frame canvas").first.focus()
        page.keyboard.press("PageDown")
        page.wait_for_function(
            "first => document.querySelector('.gv-place').textContent !== first", arg=first
        )
        assert slice_of(page, 1) == second


def test_python_is_told_of_the_slice_and_can_show_another(browser, tmp_path, record):
    with shown(browser, tmp_path, HOST, wait="body") as page:
        live(page, record, method="attention", slices=[3])
        assert slice_of(page).startswith("14 of 20")
        page.locator(".gv-frame canvas").focus()
        press(page, "PageDown")
        page.wait_for_function("() => JSON.stringify(model.values.slices) === '[4]'")
        with drawn(page):
            page.evaluate("model.now({ slices: [0] })")
        assert slice_of(page).startswith("11 of 20")


def test_without_a_stack_pages_are_turned_by_their_keys(browser, tmp_path):
    with shown(browser, tmp_path, page_of(records.pair()), viewport=LOW) as page:
        assert page.locator(".gv-pane").count() == 2
        assert not page.locator(".gv-slices").first.is_visible()
        page.locator(".gv-frame canvas").first.focus()
        page.keyboard.press("PageDown")
        page.wait_for_function("() => scrollY > 50")
