"""Ten materials in four windows: what is asked about and what was answered are seen together."""

import pytest

from tests.support.browser import TWO_FRAMES, needs_browser, shown
from tests.support.materials import MATERIALS, WINDOWS

pytestmark = [needs_browser, pytest.mark.wide]
BOXES = """kind => [...document.querySelectorAll(kind)].map(one => {
  const { left, top, right, bottom } = one.getBoundingClientRect();
  return [left, top, right, bottom];
})"""
IMAGES, ANSWERS = ".gv-frame canvas", ".gv-answer .gv-tokens"
# Of three windows; the last is a phone's.
TOGETHER = list(WINDOWS)[:-1]


def boxes(page, kind: str) -> list[tuple[float, float, float, float]]:
    return page.evaluate(BOXES, kind)


def is_within(box: tuple[float, float, float, float], size: dict[str, int]) -> bool:
    left, top, right, bottom = box
    return left >= 0 and top >= 0 and right <= size["width"] and bottom <= size["height"]


@pytest.mark.parametrize("name", MATERIALS)
def test_image_and_answer_are_seen_together(browser, tmp_path, name):
    with shown(browser, tmp_path, MATERIALS[name](), viewport=WINDOWS["desk"]) as page:
        for window in TOGETHER:
            size = WINDOWS[window]
            page.set_viewport_size(size)
            page.wait_for_function("width => innerWidth === width", arg=size["width"])
            page.evaluate(TWO_FRAMES)
            images, answers = boxes(page, IMAGES), boxes(page, ANSWERS)
            assert is_within(images[0], size), (window, images)
            assert all(is_within(one, size) for one in answers), (window, answers)
            if not all(is_within(one, size) for one in images):
                # Eight are too many for a small window: they are scrolled to, and the answer stays.
                assert (len(images), window) == (8, "laptop"), images
                page.locator(IMAGES).last.scroll_into_view_if_needed()
                assert is_within(boxes(page, IMAGES)[-1], size)
                assert is_within(boxes(page, ANSWERS)[0], size)
            assert all(one[2] > one[0] and one[3] > one[1] for one in (*images, *answers))
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


@pytest.mark.parametrize("name", MATERIALS)
def test_on_a_phone_nothing_is_wider_than_the_screen(browser, tmp_path, name):
    size = WINDOWS["phone"]
    phone = {"has_touch": True, "is_mobile": True}
    with shown(browser, tmp_path, MATERIALS[name](), viewport=size, **phone) as page:
        (answer, *_), (image, *_) = boxes(page, ANSWERS), boxes(page, IMAGES)
        assert answer[3] <= size["height"] and image[1] < size["height"]
        assert image[2] <= size["width"]
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
