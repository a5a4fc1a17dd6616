"""A thousand cases on one page: how large it is, how soon it stands, and how little of it is drawn."""

from dataclasses import replace

import numpy as np
import pytest

from groundviz.render.base.contours import outlines
from groundviz.render.gallery import page as pages
from groundviz.render.gallery.page import Column, Entry
from tests.support import records
from tests.support.browser import needs_browser

MEGABYTES = 30
COLUMNS = (
    Column(key="hit", title="hit"),
    Column(key="reliance", title="image reliance"),
    Column(key="finding", title="Finding", number=False),
)


def entries(count, *, different=8, rows=512, cols=448):
    """So many cases; images, with the grain of a radiograph, are made for some of them and used again."""
    base = records.record(rows, cols, cells=24)
    maps = []
    for one in base.heatmaps:
        maps.append(replace(one, values=one.values.mean(axis=(1, 2), keepdims=True), layers=()))
    made = []
    for seed in range(different):
        grain = 0.03 * np.random.default_rng(seed).standard_normal((rows, cols))
        pixels = np.clip(base.source_image.pixels + grain, 0, 1).astype(np.float32)
        record = replace(
            base, source_images=(replace(base.source_image, pixels=pixels),), heatmaps=tuple(maps)
        )
        known = outlines({"reference": (150, 280, 220, 340)}, record.source_images)
        made.append((record, record.heatmaps[0].at(record.target), known))
    rng = np.random.default_rng(0)
    for at in range(count):
        record, heatmap, known = made[at % different]
        facts = {"hit": float(at % 2), "reliance": float(rng.normal()), "finding": f"finding {at % 5}"}
        yield Entry(record=record, heatmap=heatmap, known=known, name=f"case {at}", facts=facts)


@pytest.fixture
def packed_once(monkeypatch):
    """Packs each record once: a thousand would take minutes, and are as large."""
    kept = {}
    whole, small = pages._packed, pages._thumbnail

    def once(make, entry):
        key = (make, id(entry.record))
        if key not in kept:
            kept[key] = make(entry)
        return kept[key]

    monkeypatch.setattr(pages, "_packed", lambda entry: once(whole, entry))
    monkeypatch.setattr(pages, "_thumbnail", lambda entry: once(small, entry))


@needs_browser
@pytest.mark.wide
def test_a_thousand_cases_are_light_and_stand_at_once(browser, tmp_path, packed_once):
    place = tmp_path / "gallery.html"
    place.write_text(pages.page(entries(1000), COLUMNS, title="A thousand"), "utf-8")
    assert place.stat().st_size < MEGABYTES * 1e6
    paints = []
    for _ in range(3):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        page.goto(place.as_uri(), wait_until="commit")
        page.wait_for_selector(".gg-tile img[src]")
        page.wait_for_function("() => performance.getEntriesByType('paint').length > 0")
        paints.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
        page.wait_for_load_state("load")
        assert page.locator(".gg-tile").count() < 80
        page.evaluate("document.querySelector('.gg-sheet').scrollTop = 1e9")
        page.wait_for_selector(".gg-tile[data-case='999'] img[src]")
        assert page.locator(".gg-tile").count() < 80
        page.locator(".gg-tile[data-case='999']").click()
        page.wait_for_selector(".gg-dialog .gv-root[data-drawn]")
        context.close()
    # The best of three: the machine may be busy.
    assert min(paints) < 1000


def test_data_that_is_carried_cannot_end_its_element():
    sly = "</script><script>window.pwned=1</script>"
    (one,) = entries(1, different=1, rows=64, cols=48)
    text = pages.page([replace(one, name=sly, facts={"finding": sly})], COLUMNS, title=sly)
    assert text.count("<script") == 4
    assert "window.pwned=1</script><" not in text.replace("&lt;", "")
    assert sly not in text


def test_numbers_that_are_none_are_told_as_such():
    (one,) = entries(1, different=1, rows=64, cols=48)
    for value in (None, float("nan"), float("inf")):
        text = pages.page([replace(one, facts={"hit": value})], COLUMNS, title="T")
        assert '"facts":[null,null,null]' in text


def test_the_program_runs_nothing_foreign():
    program = pages.program()
    for word in ("innerHTML", "fetch(", "eval(", "import ", "export "):
        assert word not in program
    assert program.startswith("(() => {")
