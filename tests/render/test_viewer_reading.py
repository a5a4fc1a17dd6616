"""What a reader compares in the viewer: the question's words, findings, references, other explanations."""

import base64
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from groundviz.record.geometry import cell_coverage
from groundviz.record.mass import heaviest
from groundviz.record.targets import find
from groundviz.render.base import escape
from groundviz.render.base.captions import percent, probability
from groundviz.render.base.contours import outlines
from groundviz.render.pages import html
from groundviz.render.pages.stylesheet import STYLE
from groundviz.render.viewer import assets, pack
from tests.support.browser import (
    HOST,
    TWO_FRAMES,
    bare,
    canvas,
    drawn,
    expected_of,
    live,
    needs_browser,
    page_of,
    press,
    shown,
    shown_map,
    whole,
)

pytestmark = needs_browser
BOX = (150.0, 330.0, 260.0, 450.0)


def _alone(article) -> str:
    return escape.document("T", STYLE + assets.style(), [article], program=assets.program())


def _page(record, known=()) -> str:
    return _alone(escape.interactive([], pack.pack(record, known=known)))


def _beside(*sides) -> str:
    return _alone(escape.interactive([], html.side_by_side([html.Side(*one) for one in sides])))


def test_a_finding_of_a_report_is_one_press_away(browser, tmp_path):
    words = ("nodule", " left", ".", " effusion", " right", ".")
    record = whole(words=words)
    with shown(browser, tmp_path, page_of(record)) as page:
        bare(page)
        buttons = page.get_by_role("group", name="Parts of the answer").get_by_role("button")
        told = [text.strip().split("\n") for text in buttons.all_inner_texts()]
        assert [name for name, _ in told] == ["whole answer", "nodule left.", "effusion right."]
        for (_, line), part in zip(told, (None, (0, 3), (3, 6)), strict=True):
            sure = probability(record.answer, find(record.answer, part))
            assert line == f"p {percent(sure)} · needs the marked place: not measured"
        # Each shows the image, and over it the map of its own part.
        colours = "all => all.map(one => one.toDataURL())"
        thumbs = page.locator(".gv-thumb").evaluate_all(colours)
        assert len(set(thumbs)) == 3
        with drawn(page):
            buttons.nth(2).click()
        page.mouse.move(5, 5)
        assert page.get_attribute(".gv-root", "data-drawn") == "attention|3,4,5|-1|-1"
        assert buttons.nth(2).get_attribute("aria-pressed") == "true"
        assert np.abs(canvas(page) - expected_of(record, "attention", (3, 6))).mean() < 1.0
        with drawn(page):
            page.get_by_role("option", name="nodule").click()
        assert buttons.nth(2).get_attribute("aria-pressed") == "false"


def test_words_are_compared_with_what_is_known(browser, tmp_path):
    record = whole()
    known = outlines({"nodule": BOX}, record.source_images)
    maps = record.heatmaps[0]
    coverage = cell_coverage(maps.grid, known[0].mask)
    with shown(browser, tmp_path, _page(record, known)) as page:
        with drawn(page):
            page.get_by_label("Reference").select_option(label="nodule")
        with drawn(page):
            page.locator(".gv-token", has_text="nodule").click()
        page.mouse.move(5, 5)
        text = page.locator(".gv-readout").inner_text()
        heatmap = maps.at(find(record.answer, "nodule"))
        held = 100.0 * (heatmap.values * coverage).sum() / heatmap.values.sum()
        found = [float(number) for number in re.findall(r"([\d.]+) %", text)]
        assert found == pytest.approx([held, 100.0 * coverage.mean()], rel=0.05)
        strong = heaviest(heatmap.values, 0.5)
        union = strong.sum() + coverage.sum() - (strong * coverage).sum()
        overlap = (strong * coverage).sum() / union
        assert float(text.split("cells ")[1].split(". Strongest")[0]) == pytest.approx(overlap, abs=0.006)
        best = coverage.ravel()[np.argmax(heatmap.values)] >= 0.5
        assert ("strongest cell is inside" in text) == bool(best)
        assert page.locator(".gv-token.gv-shaded").count() == len(record.answer.spoken)
        press(page, "Escape")
        assert "nodule:" not in page.locator(".gv-readout").inner_text()


def test_a_reference_is_drawn_where_it_lies(browser, tmp_path):
    record = whole()
    known = outlines({"nodule": BOX}, record.source_images)
    frames = []
    for names in ((), known):
        with shown(browser, tmp_path, _page(record, names)) as page:
            page.mouse.move(5, 5)
            if names:
                with drawn(page):
                    page.get_by_label("Reference").select_option("0")
            frames.append(canvas(page))
    changed = np.abs(frames[0] - frames[1]).max(axis=2) > 40
    row, col = np.nonzero(changed)
    assert (row.min(), row.max(), col.min(), col.max()) == pytest.approx(
        (BOX[0], BOX[2], BOX[1], BOX[3]), abs=4
    )
    inner = changed[int(BOX[0]) + 6 : int(BOX[2]) - 6, int(BOX[1]) + 6 : int(BOX[3]) - 6]
    assert not inner.any()


def test_explanations_side_by_side_share_what_is_shared_and_words_that_both_say(browser, tmp_path):
    first, second = whole(), whole(words=("no", " nodule", "."))
    with shown(browser, tmp_path, _beside(("Prior", first), ("Current", second))) as page:
        roots = page.locator(".gv-root[data-drawn]")
        page.wait_for_function("() => document.querySelectorAll('.gv-root[data-drawn]').length === 2")
        assert page.locator(".gv-name").all_inner_texts() == ["Prior", "Current"]
        assert page.get_by_label("Method").count() == 1
        page.get_by_label("Method").select_option("occlusion")
        page.get_by_role("slider", name="Layer").fill("1")
        page.wait_for_function("() => document.querySelectorAll('[data-drawn$=\"|1|-1\"]').length === 2")
        roots.nth(1).get_by_role("option", name="nodule").hover()
        page.wait_for_function(
            "() => document.querySelectorAll('[data-drawn]')[0].dataset.drawn === 'occlusion|0|1|-1'"
        )
        assert roots.nth(1).get_attribute("data-drawn") == "occlusion|1|1|-1"
        roots.nth(1).get_by_role("option", name="no", exact=True).click()
        page.mouse.move(5, 5)
        page.wait_for_function(
            "() => document.querySelectorAll('[data-drawn]')[1].dataset.drawn.startsWith('occlusion|0|')"
        )
        # The first never says "no": it stays with its whole answer.
        whole_answer = ",".join(map(str, first.answer.spoken))
        assert roots.nth(0).get_attribute("data-drawn") == f"occlusion|{whole_answer}|1|-1"


def _ends(page) -> list[str]:
    """The number at the end of each viewer's bar."""
    return page.evaluate(
        "() => [...document.querySelectorAll('.gv-end:nth-child(2)')].map(one => one.textContent)"
    )


def test_maps_of_one_model_share_a_scale_and_those_of_another_have_their_own(browser, tmp_path):
    first, second = whole(), whole()
    faint = [replace(maps, values=maps.values / 3) for maps in second.heatmaps]
    second = replace(second, heatmaps=tuple(faint))
    ready = "() => document.querySelectorAll('.gv-root[data-drawn]').length === 2"
    (scale,) = {shown_map(first, "attention", None)[1].top}
    with shown(browser, tmp_path, _beside(("Prior", first), ("Current", second))) as page:
        page.wait_for_function(ready)
        one, other = _ends(page)
        assert one == other
        assert float(one) == pytest.approx(scale, rel=0.02)
        summits = page.locator(".gv-summit").all_inner_texts()
        assert summits[0] == summits[1]
        bare(page)
        page.evaluate(TWO_FRAMES)
        painted = [canvas(page, at) for at in (0, 1)]
        page.get_by_label("Colour", exact=True).uncheck()
        page.evaluate(TWO_FRAMES)
        change = [np.abs(painted[at] - canvas(page, at)).mean() for at in (0, 1)]
        assert change[0] > 1.4 * change[1] > 0
        page.get_by_label("Scale", exact=True).select_option("each")
        page.evaluate(TWO_FRAMES)
        one, other = map(float, _ends(page))
        assert one == pytest.approx(3 * other, rel=0.02)
    second = replace(second, provenance=replace(second.provenance, weights="sha256:ffff"))
    with shown(browser, tmp_path, _beside(("A", first), ("B", second))) as page:
        page.wait_for_function(ready)
        one, other = map(float, _ends(page))
        assert one == pytest.approx(3 * other, rel=0.02)


def test_a_method_that_only_one_of_them_has_is_named_and_told_to_be_missing(browser, tmp_path):
    first, second = whole(), whole()
    second = replace(second, heatmaps=second.heatmaps[:1])
    with shown(browser, tmp_path, _beside(("A", first), ("B", second))) as page:
        page.get_by_label("Method").select_option("occlusion")
        page.wait_for_function("() => document.querySelectorAll('[data-drawn^=occlusion]').length === 2")
        assert page.locator(".gv-title").all_inner_texts() == ["Occlusion", "occlusion"]
        assert page.locator(".gv-none").nth(1).inner_text() == "Not measured."


def test_a_method_is_asked_for_watched_stopped_and_shown(browser, tmp_path):
    record = whole()
    attention, occlusion = record.heatmaps
    alone = replace(record, heatmaps=(attention,))
    headers, blob = pack.maps_of(record, [occlusion])
    more = [{"name": "occlusion", "title": "Occlusion", "cost": "many passes"}]
    with shown(browser, tmp_path, HOST, wait="body", bypass_csp=True) as page:
        live(page, alone, method="attention", _more=more)
        bar = page.get_by_role("progressbar")
        assert not bar.is_visible()
        page.get_by_label("Also").select_option(label="Occlusion")
        page.get_by_text("many passes").wait_for()
        assert page.evaluate("model.sent") == []
        page.get_by_role("button", name="Measure").click()
        assert page.evaluate("model.sent") == [{"need": "method", "method": "occlusion"}]
        busy = {"method": "occlusion", "done": 3, "total": 12, "says": "Occlusion: 3 of 12"}
        with drawn(page):
            page.evaluate("busy => model.now({ _busy: busy })", busy)
        assert bar.evaluate("one => one.value") == 0.25
        assert page.locator(".gv-busy [role=status]").inner_text() == "Occlusion: 3 of 12"
        page.get_by_role("button", name="Stop").click()
        assert page.evaluate("model.sent.at(-1)") == {"need": "stop"}
        with drawn(page):
            page.evaluate("model.now({ _busy: {} }), model.hear({ failed: 'Not for this model.' })")
        assert page.locator(".gv-busy [role=status]").inner_text() == "Not for this model."
        assert page.locator(".gv-pane").count() == 1
        page.evaluate(
            "([maps, blob]) => model.hear({ maps, says: '' }, blob)",
            [json.loads(json.dumps(headers)), base64.b64encode(blob).decode()],
        )
        page.wait_for_function("() => document.querySelectorAll('.gv-pane').length === 2")
        assert page.locator(".gv-title").all_inner_texts() == ["Attention", "Occlusion"]
        assert not page.locator(".gv-busy [role=status]").is_visible()
        page.wait_for_function("() => model.values.compare?.[0] === 'occlusion'")


def test_pixels_that_the_payload_leaves_out_are_asked_for_and_shown(browser, tmp_path):
    record = replace(whole(), heatmaps=())
    dark = replace(
        record,
        source_images=(replace(record.source_image, pixels=np.zeros_like(record.source_image.pixels)),),
    )
    places, blob = pack.images_of([record])
    with shown(browser, tmp_path, HOST, wait="body", bypass_csp=True) as page:
        live(page, dark, _withheld=True)
        assert page.evaluate("model.sent") == [{"need": "images"}]
        assert canvas(page).max() == 0
        with drawn(page):
            page.evaluate(
                "([images, blob]) => model.hear({ images }, blob)",
                [places, base64.b64encode(blob).decode()],
            )
        assert np.abs(canvas(page).mean(axis=2) - 255.0 * record.source_image.pixels).mean() < 1.0
        page.get_by_label("Invert").check()
        page.wait_for_timeout(200)
        assert canvas(page).mean() == pytest.approx(
            255.0 * (1.0 - record.source_image.pixels.mean()), abs=1.0
        )


def test_a_snapshot_gives_way_to_a_live_viewer_however_late_it_comes(browser, tmp_path):
    snapshot = escape.fragment(
        "", escape.interactive([], pack.pack(whole()), "one"), program=assets.program()
    )
    text = (
        "<!DOCTYPE html><body><div class='jp-OutputArea-child' id='first'>model not found</div>"
        f"<div class='jp-OutputArea-child'>{snapshot}</div></body>"
    )
    with shown(browser, tmp_path, text, wait="[data-gv]") as page:
        page.wait_for_selector(".gv-root[data-drawn]")
        assert not page.locator("#first").is_visible()
        page.evaluate(
            """() => {
              const live = document.createElement("div");
              Object.assign(live, { className: "gv-root", textContent: "live" }).dataset.live = "one";
              document.getElementById("first").replaceChildren(live);
              document.dispatchEvent(new CustomEvent("groundviz", { detail: "one" }));
            }"""
        )
        assert page.get_by_text("live", exact=True).is_visible()
        assert page.locator(".groundviz").is_hidden()


@pytest.mark.wide
def test_words_of_the_question_have_maps_of_their_own(browser, tmp_path):
    import groundviz
    from groundviz.demo.phantoms import phantom

    made = groundviz.explain("demo", phantom(3, findings=["nodule"]).pixels, "Where is the nodule?")
    with shown(browser, tmp_path, _page(made.record)) as page:
        question = page.get_by_role("listbox", name="Tokens of the question")
        words = question.get_by_role("option")
        assert "".join(words.all_inner_texts()) == "Whereisthenodule?"
        with drawn(page):
            words.nth(3).click()
        first = page.get_attribute(".gv-root", "data-drawn")
        number = int(first.split("|")[1])
        assert number < 0
        assert "“nodule” (in the question)" in page.locator(".gv-detail").inner_text()
        heatmap = made.heatmap("attention", groundviz.Question("nodule"))
        text = page.locator(".gv-frame canvas").get_attribute("aria-label")
        row, col = np.unravel_index(np.nanargmax(heatmap.values), heatmap.values.shape)
        assert f"Strongest at row {row + 1} of 14, column {col + 1} of 14" in text
        press(page, "ArrowLeft")
        assert page.get_attribute(".gv-root", "data-drawn").split("|")[1] == str(number - 1)
        press(page, "Home")
        press(page, "Shift+End")
        assert len(page.get_attribute(".gv-root", "data-drawn").split("|")[1].split(",")) == words.count()
        with drawn(page):
            page.get_by_label("Tokens of the answer").get_by_role("option").first.click(modifiers=["Control"])
        # A map is about the question or about the answer.
        assert page.get_attribute(".gv-root", "data-drawn").split("|")[1] == "0"
        with drawn(page):
            page.get_by_label("Method").select_option("gradient_attention")
        with drawn(page):
            words.nth(3).click()
        assert "Not measured for “nodule”" in page.locator(".gv-none").inner_text()
