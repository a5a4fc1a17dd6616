"""The words' maps played in order: by button and by key, in Chromium."""

import pytest

from tests.support.browser import drawn, needs_browser, page_of, shown, whole

pytestmark = needs_browser
PLAYED = """() => {
  window.played = [];
  const root = document.querySelector(".gv-root");
  const keep = () => window.played.push(root.dataset.drawn.split("|")[1]);
  new MutationObserver(keep).observe(root, { attributeFilter: ["data-drawn"] });
}"""


@pytest.mark.wide
def test_words_are_played_in_order_and_then_what_was_chosen_is_shown(browser, tmp_path):
    with shown(browser, tmp_path, page_of(whole())) as page:
        page.get_by_label("Pace").select_option("fast")
        with drawn(page):
            page.get_by_role("option", name="left").click()
        page.mouse.move(5, 5)
        page.evaluate(PLAYED)
        tops = {page.locator(".gv-tick").nth(1).inner_text()}
        page.get_by_role("button", name="Play the words").click()
        page.get_by_role("button", name="Pause").wait_for()
        tops.add(page.locator(".gv-tick").nth(1).inner_text())
        page.get_by_role("button", name="Play the words").wait_for(timeout=8000)
        page.wait_for_function("() => window.played.length === 7")
        # The full stop is no word; every frame has the same scale.
        assert page.evaluate("window.played") == ["0", "1", "2", "3", "4", "5", "3"]
        assert len(tops) == 1


def test_a_pause_stays_with_the_word_and_a_key_goes_on(browser, tmp_path):
    with shown(browser, tmp_path, page_of(whole())) as page:
        page.locator(".gv-frame canvas").focus()
        page.keyboard.press("a")
        page.wait_for_selector("[data-drawn^='attention|1|']")
        page.keyboard.press("a")
        page.get_by_role("button", name="Play the words").wait_for()
        assert page.get_attribute(".gv-root", "data-drawn").startswith("attention|1|")
        assert page.get_by_role("option", name="in", exact=True).get_attribute("aria-selected") == "true"
        page.keyboard.press("a")
        page.wait_for_selector("[data-drawn^='attention|2|']")
        # Who chooses a word goes his own way.
        page.get_by_role("option", name="nodule").click()
        page.get_by_role("button", name="Play the words").wait_for()
        page.wait_for_timeout(1000)
        assert page.get_attribute(".gv-root", "data-drawn").startswith("attention|0|")


def test_who_wants_little_motion_goes_on_word_by_word(browser, tmp_path):
    with shown(browser, tmp_path, page_of(whole()), reduced_motion="reduce") as page:
        following = page.get_by_role("button", name="Next word")
        assert not page.get_by_label("Pace").is_visible()
        for word in range(2):
            with drawn(page):
                following.click()
            assert page.get_attribute(".gv-root", "data-drawn").startswith(f"attention|{word}|")
        page.wait_for_timeout(1000)
        assert page.get_attribute(".gv-root", "data-drawn").startswith("attention|1|")
