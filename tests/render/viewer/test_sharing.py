"""What a reader takes along from the viewer: an image of it, and the address where it is shown again."""

import numpy as np
import pytest
from PIL import Image

from groundviz.render.pages import html
from tests.support.browser import (
    HOST,
    SIDE,
    bare,
    canvas,
    drawn,
    expected_of,
    live,
    needs_browser,
    only_in_chromium,
    page_of,
    press,
    shown,
    whole,
)

pytestmark = needs_browser


def _saved(page, place):
    only_in_chromium("downloads")
    with page.expect_download() as kept:
        page.get_by_role("button", name="Save as PNG").click()
    assert kept.value.suggested_filename == "groundviz.png"
    kept.value.save_as(place)
    with Image.open(place) as image:
        return np.asarray(image.convert("RGB"), dtype=float)


def _found_in(sheet, part, left):
    """The rows and columns of a sheet that come nearest to an image whose left edge is known."""
    rows, cols = part.shape[:2]
    strip = part[:, cols // 2]
    away = [
        np.abs(sheet[top : top + rows, left + cols // 2] - strip).mean() for top in range(len(sheet) - rows)
    ]
    top = int(np.argmin(away))
    return sheet[top : top + rows, left : left + cols], top


def test_a_sheet_holds_every_pane_as_it_is_shown_and_what_it_is_about(browser, tmp_path):
    with shown(browser, tmp_path, page_of(whole())) as page:
        with drawn(page):
            page.get_by_label("Beside it").select_option("occlusion")
        sheet = _saved(page, tmp_path / "sheet.png")
        panes = [canvas(page, at) for at in (0, 1)]
        page.get_by_label("With question and answer").uncheck()
        plain = _saved(page, tmp_path / "plain.png")
    width = panes[0].shape[1]
    letters = 11  # pixels: the smallest that are read
    for at, pane in enumerate(panes):
        found, top = _found_in(sheet, pane, letters + at * (max(width, 300) + letters))
        # The window stands on the image.
        assert (np.abs(found - pane).max(axis=2) > 2).mean() < 0.05
        below = sheet[top + len(pane) :]
        assert (np.abs(below - sheet[-1, -1]).max(axis=2) > 60).mean() > 0.01
    assert 2 * 11 < len(sheet) - len(plain) < 120


def test_a_sheet_of_twice_the_source_shows_each_of_its_pixels_four_times(browser, tmp_path):
    record = whole()
    with shown(browser, tmp_path, page_of(record)) as page:
        bare(page)
        page.get_by_label("Size").select_option("2")
        assert (
            page.get_by_label("Size")
            .locator("option:checked")
            .inner_text()
            .endswith(f"{2 * SIDE} \u00d7 {2 * SIDE}")
        )
        sheet = _saved(page, tmp_path / "sheet.png")
    expected = expected_of(record, "attention", None)
    large = expected.repeat(2, axis=0).repeat(2, axis=1)
    found, _ = _found_in(sheet, large, round(2 * SIDE / 42))
    halved = found.reshape(SIDE, 2, SIDE, 2, 3).mean(axis=(1, 3))
    # Away from the window in the lower left corner.
    assert np.abs(halved - expected)[: SIDE - 40].mean() < 1.5


@pytest.mark.wide
def test_an_image_is_copied_or_where_that_is_not_allowed_saved(browser, tmp_path):
    with shown(
        browser, tmp_path, page_of(whole()), permissions=["clipboard-read", "clipboard-write"]
    ) as page:
        page.get_by_role("button", name="Copy image").click()
        page.get_by_text("Copied.", exact=True).wait_for()
        kinds = page.evaluate("async () => (await navigator.clipboard.read()).flatMap(one => one.types)")
        assert kinds == ["image/png"]
        page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
        with page.expect_download():
            page.get_by_role("button", name="Copy image").click()
        page.get_by_text("saved as a file instead").wait_for()


def test_the_address_keeps_what_is_set_and_brings_it_back(browser, tmp_path):
    record = whole()
    with shown(browser, tmp_path, page_of(record)) as page:
        assert "#" not in page.url
        before = page.evaluate("history.length")
        page.get_by_role("option", name="nodule").click()
        press(page, "ArrowUp", "ArrowUp", "]", "+", "i")
        page.wait_for_function("() => location.hash.includes('invert=1')")
        shows, address = page.get_attribute(".gv-root", "data-drawn"), page.url
        assert shows == "attention|0|1|0"
        assert page.evaluate("history.length") == before
        page.goto("about:blank")
        page.goto(address)
        page.wait_for_selector(f".gv-root[data-drawn='{shows}'][data-near]")
        assert page.get_by_label("Invert").is_checked()
        # Another address in the same window, from somebody who means no good.
        page.evaluate("location.hash = 'selected=0..99999999&method=constructor&layer=0&__proto__=1'")
        page.wait_for_selector(
            ".gv-root[data-drawn^='attention|0,1,2'][data-drawn$='|0|-1']:not([data-near])"
        )


def test_no_address_is_touched_but_that_of_a_page_of_its_own(browser, tmp_path):
    record = whole()
    with shown(browser, tmp_path, html.fragment(record)) as page:
        page.get_by_role("option", name="nodule").click()
        page.wait_for_timeout(400)
        assert "#" not in page.url
        assert page.get_by_role("button", name="Copy link").count() == 0
    with shown(browser, tmp_path, HOST, wait="body", bypass_csp=True) as page:
        live(page, record)
        page.get_by_role("option", name="nodule").click()
        page.wait_for_timeout(400)
        assert "#" not in page.url
        assert page.get_by_role("button", name="Copy link").count() == 0
