"""The viewer's scale, its bar, its outlines and its underlined words, in a real browser."""

import base64
import io
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from groundviz.record.mass import heaviest
from groundviz.render.base.colour import bar
from groundviz.render.base.overlay import OUTLINED
from groundviz.render.figures.file import PaperFigure
from groundviz.render.pages import html
from groundviz.render.viewer import pack
from tests.support import records
from tests.support.browser import (
    SIDE,
    bare,
    canvas,
    drawn,
    expected_of,
    needs_browser,
    page_of,
    shown,
    shown_map,
    whole,
)

pytestmark = needs_browser
DESK = {"width": 1280, "height": 720}


def test_the_scale_is_always_printed_with_its_unit(browser, tmp_path):
    record = whole()
    _, scale = shown_map(record, "attention", None)
    with shown(browser, tmp_path, page_of(record)) as page:
        low, high = page.locator(".gv-end").all_inner_texts()
        assert low == "0"
        assert float(high) == pytest.approx(scale.top, rel=0.02)
        assert page.inner_text(".gv-unit") == "share of attention"
        assert page.inner_text(".gv-rule") == scale.rule
        assert page.inner_text(".gv-summit") == f"highest {high}{scale.peak}"
        whose = "the value, 0 to the highest"
        for norm, unit, rule in (
            ("linear", "share of attention", f"{whose}, one scale for all maps of this unit"),
            (
                "log",
                "share of attention",
                "logarithm of the value over 3 decades, 0 to the highest, one scale for all maps of "
                "this unit",
            ),
            ("each", "share of attention", f"square root of {whose}"),
            ("mass", "share of the map\u2019s total", f"square root of {whose}"),
        ):
            with drawn(page):
                page.get_by_label("Scale", exact=True).select_option(norm)
            assert (page.inner_text(".gv-unit"), page.inner_text(".gv-rule")) == (unit, rule)
        with drawn(page):
            page.get_by_label("Hide sink cells").check()
        assert page.inner_text(".gv-rule").endswith("; 1 sink cell hidden")


@pytest.mark.parametrize(("method", "order"), [("attention", [0, 2, 3, 1]), ("occlusion", [0, 3, 2, 4, 1])])
def test_the_bar_looks_as_colours_do_over_mid_grey_and_has_ticks(browser, tmp_path, method, order):
    record = whole()
    _, scale = shown_map(record, method, "nodule")
    with shown(browser, tmp_path, page_of(record)) as page:
        with drawn(page):
            page.get_by_label("Method", exact=True).select_option(method)
        with drawn(page):
            page.get_by_role("option", name="nodule").click()
        url = page.evaluate("document.querySelector('.gv-bar').toDataURL('image/png')")
        with Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))) as image:
            found = np.asarray(image.convert("RGB"), dtype=float)
        np.testing.assert_allclose(found, 255.0 * bar(scale, 1, 256), atol=1.01)
        ticks = page.locator(".gv-tick").locator("visible=true")
        texts = [text.replace("\u2212", "-") for text in ticks.all_inner_texts()]
        values = [float(text.replace("\u2212", "-")) for _, text in scale.ticks]
        np.testing.assert_allclose([float(text) for text in texts], values, rtol=0.02)
        boxes = [box.bounding_box() for box in ticks.all()]
        left = [boxes[at] for at in order]
        for one, other in pairwise(left):
            assert one["x"] + one["width"] < other["x"]
        whole_bar = page.locator(".gv-bar").bounding_box()
        assert left[0]["x"] == pytest.approx(whole_bar["x"], abs=1)
        assert left[-1]["x"] + left[-1]["width"] == pytest.approx(whole_bar["x"] + whole_bar["width"], abs=1)
        for (place, _), box in list(zip(scale.ticks, boxes, strict=True))[2:]:
            middle = box["x"] + box["width"] / 2 - whole_bar["x"]
            assert middle == pytest.approx(place * whole_bar["width"], abs=1)
        sides = page.locator(".gv-side").locator("visible=true").all_inner_texts()
        assert sides == (["against", "for"] if scale.signed else [])


def test_numbers_of_a_narrow_bar_that_would_overlap_are_left_out(browser, tmp_path):
    with shown(browser, tmp_path, page_of(whole()), viewport={"width": 330, "height": 900}) as page:
        page.get_by_text("Map", exact=True).click()
        with drawn(page):
            page.get_by_label("Method", exact=True).select_option("occlusion")
        boxes = [box.bounding_box() for box in page.locator(".gv-tick").locator("visible=true").all()]
        assert 2 <= len(boxes) < 5
        boxes.sort(key=lambda box: box["x"])
        for one, other in pairwise(boxes):
            assert one["x"] + one["width"] < other["x"]


def test_one_scale_holds_for_every_word_and_a_weak_map_stays_faint(browser, tmp_path):
    record = whole()
    strong, weak = "nodule", "left"
    with shown(browser, tmp_path, page_of(record)) as page:
        bare(page)
        seen, told = {}, set()
        for word in ("nodule", "in", "the", "left", "upper", "zone"):
            with drawn(page):
                page.get_by_role("option", name=word, exact=True).hover()
            seen[word] = canvas(page)
            told.add((page.inner_text(".gv-ticks"), page.inner_text(".gv-summit")))
            assert np.abs(seen[word] - expected_of(record, "attention", word)).mean() < 1.0
        assert len(told) == 1
        rows, cols = (slice(round(SIDE * (at - 0.03)), round(SIDE * (at + 0.03))) for at in records.NODULE)
        image = 255.0 * record.source_image.pixels[..., None]
        change = {word: np.abs(seen[word] - image)[rows, cols].mean() for word in (strong, weak)}
        assert change[strong] > 3 * change[weak]
        with drawn(page):
            page.get_by_label("Scale", exact=True).select_option("each")
        with drawn(page):
            page.get_by_role("option", name=strong, exact=True).hover()
        first = page.locator(".gv-end").last.inner_text()
        with drawn(page):
            page.get_by_role("option", name=weak, exact=True).hover()
        assert page.locator(".gv-end").last.inner_text() != first


def test_why_no_outline_is_drawn_stands_beside_its_box(browser, tmp_path):
    record = whole()
    shape = record.heatmaps[0].values.shape
    values = np.broadcast_to(np.linspace(1, 1.1, 196, dtype=np.float32).reshape(14, 14), shape)
    spread = replace(record, heatmaps=(replace(record.heatmaps[0], values=values),))
    with shown(browser, tmp_path, page_of(spread)) as page:
        label = page.locator("label", has_text="Outline")
        assert re.fullmatch(r"Outline \(none: half lies in 9\d of 196 cells\)", label.inner_text())
        with drawn(page):
            page.get_by_label("Outline").uncheck()
        assert page.get_by_label("Outline", exact=True).count() == 1
    pointed = replace(record.heatmaps[0], values=np.where(values > 1.09, values, 0).astype(np.float32))
    with shown(browser, tmp_path, page_of(replace(record, heatmaps=(pointed,)))) as page:
        assert page.get_by_label("Outline", exact=True).is_checked()


def test_a_scale_that_two_explanations_share_says_in_which_the_highest_lies(browser, tmp_path):
    record = whole()
    strong = replace(record.heatmaps[0], values=2 * record.heatmaps[0].values)
    sides = [html.Side("A", record), html.Side("B", replace(record, heatmaps=(strong,)))]
    figure = PaperFigure(Figure(figsize=(0.1, 0.1)), "A caption.")
    with shown(browser, tmp_path, html.comparison(sides, figure), viewport=DESK) as page:
        for told in page.locator(".gv-summit").all_inner_texts():
            assert "” in B at row" in told


def test_a_map_under_the_least_stays_faint_and_says_why_it_has_no_colour(browser, tmp_path):
    record = whole()
    _, occlusion = record.heatmaps
    tiny = replace(occlusion, unit="nats", values=occlusion.values / 100)
    record = replace(record, heatmaps=(tiny,))
    _, scale = shown_map(record, "occlusion", "nodule")
    assert scale.negligible
    with shown(browser, tmp_path, page_of(record)) as page:
        bare(page)
        with drawn(page):
            page.get_by_role("option", name="nodule").click()
        page.mouse.move(5, 5)
        assert page.inner_text(".gv-rule") == scale.rule
        assert "up to 0.01, for the highest is under that" in scale.rule
        assert page.locator(".gv-end").all_inner_texts() == ["\u22120.01", "0.01"]
        small = "under 0.01 nats: too small for full colour, as gradients of a confident answer are"
        assert small in page.inner_text(".gv-detail")
        assert small in page.get_attribute(".gv-frame canvas", "aria-label")
        found = canvas(page)
        assert np.abs(found - expected_of(record, "occlusion", "nodule")).mean() < 1.0
        image = 255.0 * record.source_image.pixels[..., None]
        assert np.abs(found - image).max() < 60.0
        # Every map of its own is not stretched, either.
        with drawn(page):
            page.get_by_label("Scale", exact=True).select_option("each")
        assert page.locator(".gv-end").all_inner_texts() == ["\u22120.01", "0.01"]


def _spots(record, cells):
    """The record with one map, whose cells (row, col) hold these values, and all others next to nothing."""
    plain, other = record.heatmaps
    signed = min(cells.values()) < 0
    values = np.full_like((other if signed else plain).values[:, :1, :1], 1e-6)
    for at, value in cells.items():
        values[..., *at] = value
    return replace(record, heatmaps=(replace(other if signed else plain, values=values, layers=(0,)),))


def test_cells_that_hold_half_and_nine_tenths_of_a_map_are_outlined_and_counted(browser, tmp_path):
    record = _spots(whole(), {(2, 3): 0.4, (2, 4): 0.3, (8, 6): 0.2, (8, 7): 0.04, (11, 11): -0.03})
    heatmap = record.heatmaps[0].at(record.target)
    cells = [heaviest(heatmap.values, share) for share in OUTLINED]
    assert [int(one.sum()) for one in cells] == [2, 3]
    with shown(browser, tmp_path, page_of(record)) as page:
        page.get_by_label("Colour", exact=True).uncheck()
        page.mouse.move(5, 5)
        page.wait_for_function("() => !document.querySelector('.gv-legend').textContent.includes('Opacity')")
        assert page.inner_text(".gv-detail").endswith(" · 2 of 196 cells hold half")
        legend = page.inner_text(".gv-legend")
        assert (
            "Outlined: the fewest cells that hold 50 % of the map; thin: 90 %; dashed below zero; none where "
            "they are over 25 % of all, or the map is faint." in legend
        )
        change = np.abs(canvas(page) - 255.0 * record.source_image.pixels[..., None]).max(axis=2)
        reach = SIDE // 14
        touched = change > 8
        where = touched.reshape(14, reach, 14, reach).any(axis=(1, 3))
        near = np.zeros((14, 14), bool)
        for row, col in np.argwhere(cells[1]):
            near[row - 1 : row + 2, col - 1 : col + 2] = True
        assert where[cells[1]].all()
        assert not where[~near].any()
        # The line around half of the map is the thicker one.
        edge = lambda row, col: change[row * reach + reach // 2, col * reach - 5 : col * reach + 6].sum()  # noqa: E731
        assert edge(2, 3) > edge(8, 6) > 0
        # Within what is outlined there is no line.
        assert edge(2, 4) < 8


def test_a_smooth_outline_follows_the_value_of_the_last_cell_that_is_needed(browser, tmp_path):
    record = _spots(whole(), {(6, 6): 0.5, (6, 7): 0.5, (7, 6): 0.5, (7, 7): 0.5})
    with shown(browser, tmp_path, page_of(record)) as page:
        page.get_by_label("Colour", exact=True).uncheck()
        with drawn(page):
            page.get_by_label("Smooth").check()
        page.mouse.move(5, 5)
        assert "4 of 196 cells hold half" in page.inner_text(".gv-detail")
        change = np.abs(canvas(page) - 255.0 * record.source_image.pixels[..., None]).max(axis=2)
        rows, cols = np.nonzero(change > 20)
        # The level is the value of all four, which their centres reach.
        reach = SIDE / 14
        assert (rows.min(), rows.max()) == pytest.approx((6.5 * reach, 7.5 * reach), abs=6)
        assert (cols.min(), cols.max()) == pytest.approx((6.5 * reach, 7.5 * reach), abs=6)


@pytest.mark.wide
def test_each_word_of_the_answer_is_underlined_by_its_probability(browser, tmp_path):
    record = whole()
    logprobs = np.log(np.array([0.97, 0.3, 0.8, 0.55, 0.12, 0.9, 0.6, 0.99], np.float32))
    record = replace(record, answer=replace(record.answer, logprobs=logprobs))
    with shown(browser, tmp_path, page_of(record)) as page:
        lines = page.locator(".gv-token").evaluate_all(
            """nodes => nodes.map(node => {
              const style = getComputedStyle(node);
              return [style.textDecorationStyle, parseFloat(style.textDecorationThickness), node.title];
            })"""
        )
        styles = ["dotted" if one < 0.5 else "solid" for one in np.exp(logprobs)]
        assert [style for style, _, _ in lines] == styles
        solid = sorted(
            (float(logprob), thick)
            for logprob, (style, thick, _) in zip(logprobs, lines, strict=True)
            if style == "solid"
        )
        assert [thick for _, thick in solid] == sorted(thick for _, thick in solid)
        assert solid[-1][1] > solid[0][1]
        assert lines[4][2] == "probability 12%"
        label = page.locator(".gv-answer .gv-label").text_content()
        assert f"probability {pack.read(pack.pack(record))[0]['sure']}" in label
