"""Every layer and head as small images on one scale, from which one is chosen, in Chromium."""

import base64

import numpy as np
import pytest

from groundviz.record.targets import find
from groundviz.render.base import overlay
from groundviz.render.base.colour import scales
from groundviz.render.viewer import pack
from tests.support.browser import HOST, canvas, drawn, live, needs_browser, page_of, shown, whole

pytestmark = needs_browser
HERE = ".gv-wall-grid button:enabled"
NAMES = "all => all.map(one => one.getAttribute('aria-label'))"


def _page_without_heads(monkeypatch, record):
    monkeypatch.setattr(pack, "_MOST_WITH_HEADS", 0)
    return page_of(record)


def _map(record, word, layer, head):
    return record.heatmaps[0].at(find(record.answer, word), layer=layer, head=head)


def test_the_wall_has_one_scale_and_the_highest_value_of_every_head(browser, tmp_path):
    record = whole()
    with shown(browser, tmp_path, page_of(record)) as page:
        with drawn(page):
            page.get_by_role("option", name="nodule").click()
        page.get_by_role("button", name="All layers and heads").click()
        names = page.locator(".gv-wall-grid button").evaluate_all(NAMES)
        places = [(layer, head) for layer in (None, 0, 1) for head in (None, 0, 1)]
        assert len(names) == len(places)
        most = [_map(record, 0, *place).values.max() for place in places]
        for name, (layer, head), highest in zip(names, places, most, strict=True):
            called = ", ".join(
                f"all {kind}s" if one is None else f"{kind} {one}"
                for kind, one in (("layer", layer), ("head", head))
            )
            assert name.startswith(f"{called}: highest ")
            assert float(name.split()[-1]) == pytest.approx(highest, rel=0.03)
        assert float(page.locator(".gv-wall .gv-end").nth(1).inner_text()) == pytest.approx(
            max(most), rel=0.03
        )
        # On one scale a head's colours are not those that it would have alone.
        maps = [_map(record, 0, *place) for place in places]
        for at, (heatmap, scale) in enumerate(zip(maps, scales(maps), strict=True)):
            found = canvas(page, at, ".gv-wall-grid canvas")
            expected = 255.0 * overlay.overlaid(record.source_image, found.shape[:2], heatmap, scale)
            assert np.abs(found - expected).mean() < 4.0
        page.locator(".gv-wall-grid button").nth(5).click()
        page.wait_for_selector("[data-drawn='attention|0|0|1']")
        assert not page.locator(".gv-wall").is_visible()


def test_the_wall_is_walked_by_keys_and_left_without_a_change(browser, tmp_path):
    with shown(browser, tmp_path, page_of(whole())) as page:
        with drawn(page):
            page.get_by_role("option", name="nodule").click()
        page.keyboard.press("l")
        page.locator(".gv-wall-grid button").first.wait_for()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Escape")
        page.locator(".gv-wall").wait_for(state="hidden")
        assert page.get_attribute(".gv-root", "data-drawn") == "attention|0|-1|-1"
        page.keyboard.press("l")
        for key in ("ArrowDown", "ArrowDown", "ArrowRight", "Enter"):
            page.keyboard.press(key)
        page.wait_for_selector("[data-drawn='attention|0|1|0']")
        # It opens where the reader is.
        page.keyboard.press("l")
        assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith(
            "layer 1, head 0"
        )


def test_heads_that_the_page_lacks_are_fetched_or_told_to_be_missing(browser, tmp_path, monkeypatch):
    record = whole()
    maps = record.heatmaps[0]
    left_out = "Single heads are not in this page"
    with shown(browser, tmp_path, HOST, wait="body", bypass_csp=True) as page:
        live(page, record, detail="layers", method="attention")
        page.get_by_role("option", name="nodule").focus()
        page.keyboard.press("l")
        page.wait_for_function("() => model.sent.length === 2")
        assert page.evaluate("model.sent") == [
            {"need": "heads", "map": 0, "layer": layer} for layer in (0, 1)
        ]
        assert page.locator(".gv-wall-grid button:enabled").count() == 3
        for layer in (0, 1):
            blob = base64.b64encode(pack.heads_of(maps, layer)).decode()
            page.evaluate("([layer, blob]) => model.hear({ heads: 0, layer }, blob)", [layer, blob])
        # But for a head of all layers, which is nowhere.
        page.wait_for_function(f"() => document.querySelectorAll('{HERE}').length === 7")
    with shown(browser, tmp_path, _page_without_heads(monkeypatch, record)) as page:
        page.get_by_role("option", name="nodule").focus()
        page.keyboard.press("l")
        assert page.locator(".gv-wall-grid button").evaluate_all("all => all.length") == 3
        assert left_out in page.inner_text(".gv-wall .gv-legend")
