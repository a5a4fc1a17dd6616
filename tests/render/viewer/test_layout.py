"""What of the window the viewer takes: image and answer together, panes apart, wheel, fingers, screen."""

from itertools import combinations

import pytest

from tests.support import records
from tests.support.browser import drawn, needs_browser, only_in_chromium, page_of, press, shown, whole

pytestmark = needs_browser
DESK = {"width": 1440, "height": 900}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
LONG = tuple(f" word{number}" for number in range(300))
PANES = (
    "all => all.map(one => { const b = one.getBoundingClientRect(); return [b.x, b.y, b.right, b.bottom] })"
)


def _box(page, selector: str) -> dict[str, float]:
    return page.locator(selector).first.bounding_box()


@pytest.mark.wide
@pytest.mark.parametrize("size", [(1440, 900), (2560, 1440), (1100, 700)])
def test_a_long_answer_stands_beside_an_image_that_fills_what_there_is(browser, tmp_path, size):
    window = dict(zip(("width", "height"), size, strict=True))
    record = records.record(400, 400, words=LONG)
    with shown(browser, tmp_path, page_of(record), viewport=window) as page:
        image, answer = _box(page, ".gv-frame canvas"), _box(page, ".gv-answer .gv-tokens")
        for box in (image, answer):
            assert box["y"] >= 0 and box["y"] + box["height"] <= size[1]
        assert image["x"] + image["width"] <= answer["x"]
        assert image["height"] > 0.55 * size[1]
        # What does not fit is scrolled to within the answer.
        tokens = page.locator(".gv-answer .gv-tokens")
        assert tokens.evaluate("one => one.scrollHeight > one.clientHeight")
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_up_to_eight_panes_stand_apart(browser, tmp_path):
    images = [records.source_image(60, 60) for _ in range(8)]
    for count in (2, 3, 5, 8):
        grids = [records.grid_over((0, 0, 60, 60), (4, 4), image=number) for number in range(count)]
        record = records.record_of(images[:count], grids)
        with shown(browser, tmp_path, page_of(record), viewport=DESK) as page:
            panes = page.locator(".gv-pane").evaluate_all(PANES)
            assert len(panes) == count
            for (x0, y0, x1, y1), (u0, v0, u1, v1) in combinations(panes, 2):
                assert x1 <= u0 + 1 or u1 <= x0 + 1 or y1 <= v0 + 1 or v1 <= y0 + 1
            heights = page.locator(".gv-frame canvas").evaluate_all("all => all.map(one => one.clientHeight)")
            assert min(heights) >= 150


def test_the_wheel_scrolls_the_page_and_zooms_with_control(browser, tmp_path):
    with shown(browser, tmp_path, page_of(whole()), viewport={"width": 1180, "height": 620}) as page:
        box = _box(page, ".gv-frame canvas")
        # Across, an image that is narrower than its frame stays in the middle.
        middle = box["x"] + box["width"] / 2
        page.mouse.move(middle, box["y"] + 40)
        page.mouse.wheel(0, 200)
        page.wait_for_function("() => scrollY > 50")
        assert not page.locator(".gv-root").evaluate("one => one.hasAttribute('data-near')")
        page.evaluate("scrollTo(0, 0)")
        with drawn(page):
            page.mouse.move(middle, box["y"] + 41)
        before = page.inner_text(".gv-tip")
        page.keyboard.down("Control")
        with drawn(page):
            page.mouse.wheel(0, -200)
        page.keyboard.up("Control")
        assert page.evaluate("scrollY") == 0
        assert page.locator(".gv-root").evaluate("one => one.hasAttribute('data-near')")
        # What is under the pointer stays there.
        with drawn(page):
            page.mouse.move(middle, box["y"] + 40)
        assert page.inner_text(".gv-tip").splitlines()[0] == before.splitlines()[0]
        with drawn(page):
            page.get_by_role("button", name="Reset view").click()
        assert not page.locator(".gv-root").evaluate("one => one.hasAttribute('data-near')")


def test_a_tall_image_takes_the_width_of_its_frame_when_it_is_magnified(browser, tmp_path):
    with shown(browser, tmp_path, page_of(records.record(400, 100)), viewport=DESK) as page:
        thin = _box(page, ".gv-frame canvas")["width"]
        page.locator(".gv-frame canvas").focus()
        press(page, *["+"] * 8)
        assert _box(page, ".gv-frame canvas")["width"] > 4 * thin
        frame = _box(page, ".gv-frame")
        assert _box(page, ".gv-frame canvas")["width"] <= frame["width"]


def test_a_wide_image_alone_has_the_height_of_the_room_and_takes_it_when_it_is_magnified(browser, tmp_path):
    with shown(browser, tmp_path, page_of(records.record(100, 400)), viewport=DESK) as page:
        canvas, frame = _box(page, ".gv-frame canvas"), _box(page, ".gv-frame")
        assert frame["height"] > 0.55 * DESK["height"] > 2 * canvas["height"]
        # In the middle of it.
        assert canvas["y"] - frame["y"] == pytest.approx((frame["height"] - canvas["height"]) / 2, abs=1)
        page.locator(".gv-frame canvas").focus()
        press(page, "+", "+")
        assert _box(page, ".gv-frame canvas")["height"] > 1.4 * canvas["height"]
        assert _box(page, ".gv-frame") == frame


def test_two_fingers_zoom_and_one_scrolls_the_page(browser, tmp_path):
    with shown(browser, tmp_path, page_of(whole()), **PHONE) as page:
        touch = page.context.new_cdp_session(page)

        def fingers(kind, *places):
            points = [{"x": x, "y": y, "id": at} for at, (x, y) in enumerate(places)]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        canvas = page.locator(".gv-frame canvas")
        assert canvas.evaluate("one => getComputedStyle(one).touchAction") == "pan-y"
        box = _box(page, ".gv-frame canvas")
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        fingers("touchStart", (x, y))
        for step in range(1, 9):
            fingers("touchMove", (x, y - 25 * step))
        fingers("touchEnd")
        page.wait_for_function("() => scrollY > 60")
        # To scroll is not to choose a place.
        assert page.inner_text(".gv-readout") == ""
        # A page that was pushed goes on for a while.
        page.wait_for_timeout(800)
        page.evaluate("scrollTo(0, 0)")
        page.wait_for_timeout(100)
        fingers("touchStart", (x - 20, y), (x + 20, y))
        for step in range(1, 6):
            fingers("touchMove", (x - 20 - 12 * step, y), (x + 20 + 12 * step, y))
        fingers("touchEnd")
        page.wait_for_selector(".gv-root[data-near]")
        assert canvas.evaluate("one => getComputedStyle(one).touchAction") == "none"
        assert page.evaluate("scrollY") == 0
        page.wait_for_timeout(50)
        page.touchscreen.tap(x, y)
        page.wait_for_function("() => document.querySelector('.gv-readout').textContent.startsWith('At row')")
        assert page.locator(".gv-tip").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.wide
def test_on_a_phone_question_answer_and_image_come_before_the_controls(browser, tmp_path):
    record = records.record(400, 400, words=LONG)
    with shown(browser, tmp_path, page_of(record), **PHONE) as page:
        kinds = (".gv-question", ".gv-answer", ".gv-frame", ".gv-controls")
        tops = [_box(page, kind)["y"] for kind in kinds]
        assert tops == sorted(tops)
        assert _box(page, ".gv-answer")["height"] < 200
        assert not page.get_by_label("Method", exact=True).is_visible()
        page.get_by_text("Map", exact=True).click()
        assert page.get_by_label("Method", exact=True).is_visible()


def test_the_checks_stand_under_each_other_on_a_phone(browser, tmp_path):
    phone = {"width": 390, "height": 844}
    with shown(browser, tmp_path, page_of(records.record()), viewport=phone) as page:
        page.locator(".gv-checks summary").click()
        for room in (".room", ".gv-room"):
            assert page.locator(room).evaluate("one => one.scrollWidth <= one.clientWidth")
            cells = page.locator(f"{room} td[data-head='In words']")
            assert cells.first.bounding_box()["width"] > 250
            told = cells.first.evaluate("one => getComputedStyle(one, '::before').content")
            assert "data-head" in told or "In words" in told
    with shown(browser, tmp_path, page_of(records.record()), viewport=DESK) as page:
        before = page.locator(".room td").first.evaluate("one => getComputedStyle(one, '::before').content")
        assert before == "none"


def test_the_panel_fades_out_at_its_foot_and_what_follows_begins_in_line_with_the_viewer(browser, tmp_path):
    with shown(browser, tmp_path, page_of(whole()), viewport=DESK) as page:
        panel = page.locator(".gv-panel")
        # Scrolled to its end, nothing lies in what fades.
        free = panel.evaluate("one => parseFloat(getComputedStyle(one).paddingBottom)")
        assert free >= 24
        assert "gradient" in panel.evaluate("one => getComputedStyle(one).maskImage")
        below = page.locator("summary", has_text="Token by token")
        assert _box(page, ".gv-root")["x"] == pytest.approx(below.bounding_box()["x"], abs=1)


def test_the_image_has_the_screen_and_the_panel_goes_and_comes(browser, tmp_path):
    only_in_chromium("the whole screen")
    with shown(browser, tmp_path, page_of(whole()), viewport=DESK) as page:
        before = _box(page, ".gv-frame canvas")
        page.locator(".gv-frame canvas").focus()
        page.keyboard.press("f")
        page.wait_for_function(
            "before => document.querySelector('.gv-frame canvas').clientHeight > before",
            arg=before["height"] + 40,
        )
        # Here the wheel has nothing to scroll.
        box = _box(page, ".gv-frame canvas")
        page.mouse.move(box["x"] + 100, box["y"] + 100)
        page.mouse.wheel(0, -200)
        page.wait_for_selector(".gv-root[data-near]")
        page.keyboard.press("f")
        page.wait_for_function("() => !document.fullscreenElement")
        page.get_by_role("button", name="Hide panel").click()
        page.get_by_role("button", name="Show panel").wait_for()
        assert not page.locator(".gv-answer").is_visible()
        assert _box(page, ".gv-frame")["width"] > 1300
        page.locator(".gv-frame canvas").focus()
        page.keyboard.press("h")
        page.locator(".gv-answer").wait_for()


@pytest.mark.wide
def test_what_a_place_holds_stands_beside_the_pointer_in_every_pane(browser, tmp_path):
    record = whole()
    with shown(browser, tmp_path, page_of(record), viewport=DESK) as page:
        with drawn(page):
            page.get_by_label("Beside it").select_option("occlusion")
        box = _box(page, ".gv-frame canvas")
        with drawn(page):
            page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 0.25 * box["height"])
        tips = page.locator(".gv-tip")
        assert [" ".join(text.split()[1:4]) for text in tips.all_inner_texts()] == [
            "share of attention",
            "Δ log-prob per",
        ]
        place = tips.first.bounding_box()
        assert box["y"] < place["y"] < box["y"] + box["height"] / 2
        page.mouse.move(5, 5)
        tips.first.wait_for(state="hidden")
