"""Words of all scripts in the order in which they are read, and settings of whoever reads."""

import warnings

import pytest

from tests.support import records
from tests.support.browser import needs_browser, page_of, shown, whole

LEFTS = "all => all.map(one => one.getBoundingClientRect().left)"


@needs_browser
@pytest.mark.parametrize(
    "words",
    [
        ("\u05d9\u05e9", " \u05e6\u05dc", " \u05d1\u05e8\u05d9\u05d0\u05d4"),
        ("\u064a\u0648\u062c\u062f", " \u0638\u0644", " \u0641\u064a"),
    ],
)
def test_words_that_are_read_from_the_right_stand_so(browser, tmp_path, words):
    record = records.record(60, 60, question="".join(words), words=words)
    with shown(browser, tmp_path, page_of(record)) as page:
        lefts = page.locator(".gv-answer .gv-token").evaluate_all(LEFTS)[:3]
        assert lefts == sorted(lefts, reverse=True)


@needs_browser
def test_a_word_of_several_tokens_has_no_gaps_and_joined_letters_stay_joined(browser, tmp_path):
    parts = ("\u064a\u0648", "\u062c\u0645\u0644", "\u0629")
    whole_word = "".join(parts)
    made = records.record(60, 60, words=("cardio", "meg", "aly", f" {whole_word}"))
    split = records.record(60, 60, words=("cardio", "meg", "aly", f" {parts[0]}", *parts[1:]))
    edges = "all => all.map(one => { const b = one.getBoundingClientRect(); return [b.left, b.right] })"
    sizes = []
    for record in (made, split):
        with shown(browser, tmp_path, page_of(record)) as page:
            boxes = page.locator(".gv-answer .gv-token").evaluate_all(edges)
            for (_, right), (left, _) in ((boxes[0], boxes[1]), (boxes[1], boxes[2])):
                assert left == pytest.approx(right, abs=0.1)
            word = boxes[3:-1]
            sizes.append(max(map(max, word)) - min(map(min, word)))
    # Letters that are not joined are wider.
    assert sizes[1] == pytest.approx(sizes[0], abs=0.6)


@needs_browser
def test_forced_colours_and_a_wish_for_little_motion_are_followed(browser, tmp_path):
    wishes = {"forced_colors": "active", "reduced_motion": "reduce"}
    with shown(browser, tmp_path, page_of(whole()), **wishes) as page:
        assert page.locator(".gv-frame").evaluate("one => getComputedStyle(one).forcedColorAdjust") == "none"
        page.get_by_role("option", name="nodule").click()
        chosen = page.get_by_role("option", name="nodule")
        assert chosen.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
        moves = "all => all.some(one => getComputedStyle(one).transitionDuration !== '0s')"
        assert not page.locator(".gv-root *").evaluate_all(moves)


@needs_browser
def test_the_ring_around_the_image_is_whole(browser, tmp_path):
    with shown(browser, tmp_path, page_of(whole())) as page:
        page.locator(".gv-frame canvas").focus()
        page.keyboard.press("ArrowDown")
        ring = page.locator(".gv-frame").evaluate("one => getComputedStyle(one).outline")
        assert "2px" in ring and "solid" in ring


def test_a_page_has_a_language_and_a_title():
    page = page_of(whole())
    assert '<html lang="en">' in page
    assert "<title>Where did the model look?</title>" in page


def test_what_dependencies_tell_of_their_next_release_reaches_no_notebook(monkeypatch):
    anywidget = pytest.importorskip("anywidget")
    from groundviz.explanation import Explanation

    made = anywidget.AnyWidget.__init__

    def old(self, *given, **named):
        warnings.warn("This will go.", DeprecationWarning, stacklevel=3)
        warnings.warn("This will change.", FutureWarning, stacklevel=3)
        made(self, *given, **named)

    monkeypatch.setattr(anywidget.AnyWidget, "__init__", old)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        Explanation(records.record(48, 48, cells=4)).view()
    assert told == []
