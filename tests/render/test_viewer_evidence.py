"""The viewer's first line: whether the answer needs the image and the marked place, of what is shown."""

import base64
from dataclasses import replace

import pytest

from groundviz.record.evidence import ABSENCE, SAYS_NOTHING
from groundviz.render.base import checked, escape
from groundviz.render.pages import html
from groundviz.render.pages.stylesheet import STYLE
from groundviz.render.viewer import assets, pack
from tests.support import records
from tests.support.browser import HOST, drawn, live, needs_browser, page_of, shown, whole

pytestmark = needs_browser
ANSWER = "answer: nodule in the left upper zone. (p = .35)"
BOTH = records.checked(whole(), "yes", attention="not shown", occlusion="shown")
NOT = records.checked(whole(), "no")


def _line(page, at: int = 0) -> str:
    return " ".join(page.locator(".gv-facts").nth(at).inner_text().split())


def _facts(*pairs: str) -> str:
    return " · ".join([ANSWER, *pairs])


def test_it_stands_above_everything_and_follows_the_method_that_is_shown(browser, tmp_path):
    with shown(browser, tmp_path, page_of(BOTH)) as page:
        assert page.locator(".gv-root").inner_text().startswith("answer: nodule")
        assert _line(page) == _facts("needs the image: yes", "needs the marked place: not shown")
        assert page.locator(".gv-verdict").inner_text().startswith("Not shown: covering it weakens")
        with drawn(page):
            page.get_by_label("Method").select_option("occlusion")
        assert _line(page) == _facts("needs the image: yes", "needs the marked place: shown")
        verdict = page.locator(".gv-verdict").inner_text()
        assert verdict.startswith("Covering the marked place weakens the answer more")
        assert verdict.endswith(SAYS_NOTHING)


def test_of_another_part_than_was_tested_it_names_the_one_that_was(browser, tmp_path):
    with shown(browser, tmp_path, page_of(BOTH)) as page:
        with drawn(page):
            page.get_by_role("option", name="nodule").click()
        assert _line(page).endswith("needs the marked place: not shown, the whole answer")
        with drawn(page):
            page.get_by_role("option", name="nodule").press("Escape")
        assert _line(page).endswith("needs the marked place: not shown")
    with shown(browser, tmp_path, page_of(NOT)) as page:
        with drawn(page):
            page.get_by_role("option", name="nodule").click()
        assert _line(page).endswith("needs the marked place: not measured")


def test_of_methods_side_by_side_each_finding_is_named_and_stands_with_its_map(browser, tmp_path):
    with shown(browser, tmp_path, page_of(BOTH)) as page:
        assert "needs the marked place" not in page.locator(".gv-detail").inner_text()
        with drawn(page):
            page.get_by_label("Beside it").select_option("occlusion")
        assert _line(page).endswith("needs the marked place: not shown (Attention), shown (Occlusion)")
        assert page.locator(".gv-verdict").inner_text() == SAYS_NOTHING
        for detail, found in zip(page.locator(".gv-detail").all(), ("not shown", "shown"), strict=True):
            assert detail.inner_text().endswith(f"needs the marked place: {found}")
        label = page.locator(".gv-frame canvas").nth(1).get_attribute("aria-label")
        assert "needs the marked place: shown" in label


def test_numbers_are_behind_a_click_or_a_key(browser, tmp_path):
    with shown(browser, tmp_path, page_of(BOTH)) as page:
        table = page.locator(".gv-checks table")
        assert not table.is_visible()
        page.locator(".gv-checks summary").focus()
        page.keyboard.press("Enter")
        assert table.is_visible()
        heads = table.locator("thead th").all_inner_texts()
        assert tuple(heads) == checked.HEAD
        assert table.locator("[scope=rowgroup]").all_inner_texts() == ["The answer", "Attention", "Occlusion"]
        cells = table.locator("tbody").first.locator("td").all_inner_texts()
        assert cells[:3] == ["yes", "3 nats", "0.693 nats"]
        verdicts = page.locator(".gv-checks p").all_inner_texts()
        assert [one.split(":")[0] for one in verdicts] == ["Attention", "Occlusion"]


def test_an_old_file_says_that_nothing_was_measured_and_has_nothing_to_unfold(browser, tmp_path):
    with shown(browser, tmp_path, page_of(whole())) as page:
        assert _line(page) == _facts("needs the image: not measured", "needs the marked place: not measured")
        assert page.locator(".gv-verdict").inner_text() == SAYS_NOTHING
        assert not page.locator(".gv-checks").is_visible()


def test_of_explanations_side_by_side_each_has_its_own(browser, tmp_path):
    sides = [html.Side("Current", BOTH), html.Side("Prior", NOT)]
    article = escape.interactive([], html.side_by_side(sides))
    text = escape.document("T", STYLE + assets.style(), [article], program=assets.program())
    with shown(browser, tmp_path, text) as page:
        assert _line(page, 0) == _facts("needs the image: yes", "needs the marked place: not shown")
        assert _line(page, 1) == _facts("needs the image: no", "needs the marked place: not measured")
        assert ABSENCE in page.locator(".gv-verdict").nth(1).inner_text()
        assert ABSENCE not in page.locator(".gv-verdict").nth(0).inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_outcome_has_a_colour_of_its_own(browser, tmp_path, scheme):
    seen = set()
    for verdict in ("shown", "not shown", "depends"):
        record = records.checked(whole(), "no" if verdict == "depends" else "yes", attention=verdict)
        with shown(browser, tmp_path, page_of(record), color_scheme=scheme) as page:
            colours = "all => all.map(one => getComputedStyle(one).color)"
            seen.add(tuple(page.locator(".gv-fact b").evaluate_all(colours)))
    [each] = seen
    assert len(set(each)) == 1


@pytest.mark.parametrize("width", [360, 1180])
def test_nothing_of_it_is_wider_than_the_screen(browser, tmp_path, width):
    size = {"width": width, "height": 800}
    with shown(browser, tmp_path, page_of(BOTH), viewport=size) as page:
        page.locator(".gv-checks summary").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator(".gv-head").evaluate("one => one.scrollWidth <= one.clientWidth")


def test_markup_in_what_a_check_says_stays_text(browser, tmp_path):
    text = "<img src=x onerror=window.hit=1>"
    check = replace(NOT.checks[0], says=text, cost=text, source=text, unit=text, numbers={text: 1.0})
    with shown(browser, tmp_path, page_of(replace(NOT, checks=(check,)))) as page:
        page.locator(".gv-checks summary").click()
        assert page.locator(".gv-root img").count() == 0
        assert text in page.locator(".gv-checks").inner_text()
        assert page.evaluate("window.hit") is None


def test_the_maps_are_challenged_at_a_press_and_the_line_follows(browser, tmp_path):
    record = records.checked(whole(), "yes")
    offer = {"title": "Challenge the map", "does": "Is it so?", "cost": "many passes"}
    with shown(browser, tmp_path, HOST, wait="body", bypass_csp=True) as page:
        live(page, record, method="attention", _challenge=offer)
        button = page.get_by_role("button", name="Challenge the map")
        assert button.get_attribute("title") == "Is it so? many passes"
        button.click()
        assert page.evaluate("model.sent") == [{"need": "challenge"}]
        busy = {"method": "the challenge", "done": 3, "total": 12, "says": "covering: 3 of 12"}
        with drawn(page):
            page.evaluate("busy => model.now({ _busy: busy })", busy)
        assert not button.is_visible()
        assert page.get_by_role("progressbar").evaluate("one => one.value") == 0.25
        page.get_by_role("button", name="Stop").click()
        assert page.evaluate("model.sent.at(-1)") == {"need": "stop"}
        told = {"says": "It was stopped.", "evidence": checked.payload(BOTH)}
        with drawn(page):
            page.evaluate("told => (model.now({ _busy: {}, _challenge: {} }), model.hear(told))", told)
        assert _line(page).endswith("needs the marked place: not shown")
        assert page.locator(".gv-busy [role=status]").inner_text() == "It was stopped."
        assert not button.is_visible()
        page.locator(".gv-checks summary").click()
        assert page.locator(".gv-checks tbody").count() == 3


def test_without_a_model_there_is_no_button(browser, tmp_path):
    with shown(browser, tmp_path, page_of(BOTH)) as page:
        assert page.get_by_role("button", name="Challenge").count() == 0


@pytest.mark.wide
def test_maps_that_come_later_bring_what_is_known_of_them(browser, tmp_path):
    attention, occlusion = BOTH.heatmaps
    headers, blob = pack.maps_of(BOTH, [occlusion])
    alone = replace(BOTH, heatmaps=(attention,))
    told = {"maps": headers, "says": "", "method": "occlusion", "evidence": checked.payload(BOTH)}
    with shown(browser, tmp_path, HOST, wait="body", bypass_csp=True) as page:
        live(page, alone, method="attention")
        page.evaluate("([told, blob]) => model.hear(told, blob)", [told, base64.b64encode(blob).decode()])
        page.wait_for_function("() => document.querySelectorAll('.gv-pane').length === 2")
        page.locator(".gv-facts").filter(has_text="not shown (Attention), shown (Occlusion)").wait_for()
