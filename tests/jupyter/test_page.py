"""The page of `to_html` from a file: interactive, inert, and without a word to anybody.

pip install ".[test,browser]" && pytest -m jupyter
"""

from __future__ import annotations

import pytest

from groundviz.explanation import Explanation
from groundviz.render.base import escape
from tests.jupyter import cases
from tests.jupyter.notebook import Viewer

pytestmark = pytest.mark.jupyter


def test_it_opens_from_a_file_and_asks_for_nothing(shown, tmp_path):
    place = tmp_path / "case.html"
    Explanation(cases.case()).to_html(place)
    with shown(place.as_uri(), home=place.as_uri()) as page:
        viewer = Viewer(page.locator(".gv-root")).wait()
        viewer.token("upper").hover()
        viewer.shows("attention|4|-1|-1")
        viewer.token("the").click()
        viewer.token("left").click(modifiers=["Shift"])
        viewer.away()
        viewer.shows("attention|2,3|-1|-1")
        assert page.evaluate("performance.getEntriesByType('resource').length") == 0


def test_hostile_words_stay_words(shown, tmp_path):
    place = tmp_path / "sly.html"
    Explanation(cases.hostile()).to_html(place)
    with shown(place.as_uri(), home=place.as_uri()) as page:
        viewer = Viewer(page.locator(".gv-root")).wait()
        for word in cases.HOSTILE:
            viewer.token(escape.visible(word.strip())).click()
        for summary in page.locator("article > details > summary").all():
            summary.click()
        assert page.evaluate("window.pwned") is None
        assert page.locator("a, iframe, [onerror], [onload], svg").count() == 0
        assert page.locator("script:not([data-gv-pack])").count() == 1
