"""The gallery of a run in a browser: sorted, filtered, linked, each case in the viewer with its reference."""

import json
import re

import numpy as np
import pytest

from groundviz.evaluation.report import gallery
from tests.support.browser import needs_browser

pytestmark = needs_browser


@pytest.fixture(scope="module")
def place(run):
    return gallery(run)


@pytest.fixture
def page(browser, place):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    shown, raised, asked = context.new_page(), [], []
    shown.on("pageerror", lambda error: raised.append(str(error)))
    shown.on("console", lambda line: raised.append(line.text) if line.type == "error" else None)
    shown.on("request", lambda request: asked.append(request.url))
    shown.goto(place.as_uri())
    shown.wait_for_selector(".gg-tile img[src]")
    yield shown
    assert raised == []
    assert [url for url in asked if not url.startswith(("data:", place.as_uri()))] == []
    context.close()


def index_of(place):
    found = re.search(r'id="gallery-index">(.*?)</script>', place.read_text("utf-8"))
    return json.loads(found[1])


def shown_cases(page):
    tiles = page.locator(".gg-tile").evaluate_all(
        "all => all.map(t => [t.getBoundingClientRect(), t.dataset.case]).map(([b, c]) => [b.y, b.x, +c])"
    )
    return [case for *_, case in sorted(tiles)]


def test_the_sheet_is_sorted_by_the_hit_and_turned_around(page, place):
    index = index_of(place)
    values = {at: one["facts"][0] for at, one in enumerate(index["cases"])}
    first = [values[at] for at in shown_cases(page)]
    known = [one for one in first if one is not None]
    assert known == sorted(known)
    assert min(one for one in values.values() if one is not None) == first[0]
    page.get_by_role("button", name="Lowest first").click()
    turned = [values[at] for at in shown_cases(page)]
    assert turned[0] == max(one for one in values.values() if one is not None)


def test_it_is_sorted_by_reliance_and_by_confidence(page, place):
    index = index_of(place)
    titles = [one["title"] for one in index["columns"]]
    for title in ("image reliance (nats)", "confidence"):
        page.get_by_label("Sort by").select_option(label=title)
        at = titles.index(title)
        values = [index["cases"][case]["facts"][at] for case in shown_cases(page)]
        assert values == sorted(values)


def test_filters_leave_what_they_say(page, place):
    index = index_of(place)
    at = [one["title"] for one in index["columns"]].index("Finding")
    count = sum(one["facts"][at] == "opacity" for one in index["cases"])
    page.get_by_label("Finding").select_option("opacity")
    assert page.inner_text(".gg-count") == f"{count} of {len(index['cases'])} cases"
    assert {index["cases"][case]["facts"][at] for case in shown_cases(page)} == {"opacity"}
    page.get_by_role("button", name="Show all").click()
    assert page.inner_text(".gg-count").startswith(f"{len(index['cases'])} of")


def test_a_box_in_the_scatter_filters_the_sheet(page, place):
    index = index_of(place)
    canvas = page.locator(".gg-canvas").bounding_box()
    # The right half: the higher numbers of the first method.
    page.mouse.move(canvas["x"] + canvas["width"] * 0.55, canvas["y"] + 5)
    page.mouse.down()
    page.mouse.move(canvas["x"] + canvas["width"] - 2, canvas["y"] + canvas["height"] - 5, steps=4)
    page.mouse.up()
    values = [index["cases"][case]["facts"][0] for case in shown_cases(page)]
    known = [one["facts"][0] for one in index["cases"] if one["facts"][0] is not None]
    middle = (min(known) + max(known)) / 2
    assert values
    assert min(values) > middle - 0.1
    assert len(values) < len(index["cases"])


def test_a_case_opens_in_the_viewer_with_its_reference_and_the_next_follows(page, place):
    first, second = shown_cases(page)[:2]
    index = index_of(place)
    page.locator(f".gg-tile[data-case='{first}']").click()
    page.wait_for_selector(".gg-dialog .gv-root[data-drawn]")
    assert page.inner_text(".gg-title") == index["cases"][first]["name"]
    assert page.locator(".gg-dialog").get_by_label("Reference").locator("option").count() > 1
    methods = (
        page.locator(".gg-dialog").get_by_label("Method", exact=True).locator("option").all_inner_texts()
    )
    assert len(methods) >= 2
    page.get_by_role("button", name="Next").click()
    page.wait_for_function(
        "name => document.querySelector('.gg-title').textContent === name", arg=index["cases"][second]["name"]
    )
    page.keyboard.press("Escape")
    assert page.locator(".gg-dialog .gv-root").count() == 0


def test_a_case_that_is_closed_while_it_is_unpacked_stays_closed(page):
    page.locator(".gg-tile").first.evaluate(
        "tile => { tile.click(); document.querySelector('.gg-dialog').close(); }"
    )
    page.wait_for_timeout(500)
    assert page.locator(".gg-viewer > *").count() == 0


def test_a_wrong_answer_is_told_by_a_word(page, place):
    index = index_of(place)
    at = [one["title"] for one in index["columns"]].index("Answer")
    for one in index["cases"]:
        assert (" · wrong: " in one["name"]) == (one["facts"][at] == "wrong")
    page.get_by_label("Answer").select_option("wrong")
    assert all("wrong: " in name for name in page.locator(".gg-name").all_inner_texts())


@pytest.mark.parametrize("width", [360, 390, 600, 1280])
def test_the_tiles_of_a_row_fill_the_sheet(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_function(
        "() => Math.abs(document.querySelector('.gg-room').clientWidth"
        " - document.querySelector('.gg-sheet').clientWidth) < 2"
    )
    page.wait_for_timeout(100)
    tiles = [one.bounding_box() for one in page.locator(".gg-tile").all()]
    first = [one for one in tiles if one["y"] == tiles[0]["y"]]
    sheet = page.evaluate(
        "(s => [s.getBoundingClientRect().x, s.clientWidth])(document.querySelector('.gg-sheet'))"
    )
    assert len(first) >= 2
    assert sheet[0] + sheet[1] - max(one["x"] + one["width"] for one in first) < 24
    image = page.locator(".gg-tile img").first.bounding_box()
    assert image["width"] == image["height"] > 120


def test_words_of_the_model_are_words(page, place):
    text = place.read_text("utf-8")
    assert "<b>idea" not in text
    assert any("no <b>idea" in one["name"] for one in index_of(place)["cases"])
    assert page.evaluate("document.querySelectorAll('.gg-name b').length") == 0


@pytest.mark.wide
def test_of_more_cases_some_are_kept_and_the_page_says_so(run, tmp_path):
    few = gallery(run, most=5, out=tmp_path / "few.html")
    index = index_of(few)
    assert len(index["cases"]) == 5
    assert "5 of 36 samples" in few.read_text("utf-8")
    assert np.isfinite([one["facts"][-1] is not None for one in index["cases"]]).all()
