"""What a saved notebook shows: without its kernel, where it is not trusted, and as a page of nbconvert.

pip install ".[test,browser]" && pytest -m jupyter
"""

from __future__ import annotations

import nbformat
import pytest

from tests.jupyter import notebook
from tests.jupyter.notebook import Viewer

pytestmark = pytest.mark.jupyter

CELLS = (
    "from groundviz.explanation import Explanation\n"
    "from tests.jupyter import cases\n"
    "explanation = Explanation(cases.case())",
    "explanation",
    "live = explanation.view(method='occlusion')\nlive",
)
READY = "() => document.querySelectorAll('.gv-root[data-drawn]').length === 2"


@pytest.fixture(scope="module")
def saved(lab, opened):
    """A notebook that was run and saved, and whose kernel is gone."""
    place = notebook.write(lab.folder / "kept.ipynb", *CELLS)
    with opened(place.name) as page:
        page.run()
        page.live.wait()
        page.kept.wait()
        page.save()
        page.shut_down()
    return place


def _works(page, at: int) -> None:
    """A viewer of the page follows the pointer and the keyboard."""
    shown = Viewer(page.locator(".gv-root").nth(at)).wait()
    shown.root.scroll_into_view_if_needed()
    shown.token("upper").hover()
    shown.shows("attention|4|-1|-1")
    shown.token("left").click()
    page.keyboard.press("ArrowUp")
    shown.away()
    shown.shows("attention|3|0|-1")
    page.keyboard.press("m")
    shown.shows("occlusion|3|-1|-1")


def test_a_notebook_holds_the_image_twice_and_stays_small(saved):
    # The viewer's program is 90 KiB, and each image stands in it at full depth.
    assert saved.stat().st_size < 3_000_000
    document = nbformat.read(saved, as_version=4)
    assert "widgets" not in document.metadata
    kinds = [set(output.data) for cell in document.cells[1:] for output in cell.outputs]
    assert kinds[0] == {"text/plain", "text/html", "image/png"}
    assert kinds[1:] == [
        {"text/plain", "application/vnd.jupyter.widget-view+json"},
        {"text/plain", "text/html"},
    ]


def test_reopened_without_a_kernel_both_are_interactive(saved, opened):
    with opened(saved.name) as kept:
        page = kept.page
        page.wait_for_function(READY)
        assert page.locator(notebook.LIVE).count() == 0
        for at in (0, 1):
            _works(page, at)
        assert page.get_by_text("model not found").locator("visible=true").count() == 0


def test_a_copy_that_is_not_trusted_shows_images_and_runs_nothing(saved, opened):
    copy = saved.with_name("copy.ipynb")
    document = nbformat.read(saved, as_version=4)
    document.cells[0].source += "  # copied"
    nbformat.write(document, copy)
    with opened(copy.name) as kept:
        page = kept.page
        outputs = [page.locator(".jp-Notebook-cell").nth(at).locator(".jp-OutputArea") for at in (1, 2)]
        for output in outputs:
            output.scroll_into_view_if_needed()
            image = output.locator("img").first
            image.wait_for()
            assert image.evaluate("node => node.complete && node.naturalWidth") > 200
        assert page.locator(".gv-root").count() == 0


def test_a_page_of_nbconvert_is_interactive_offline(saved, shown, tmp_path):
    from nbconvert import HTMLExporter

    pages = {}
    bare = nbformat.read(saved, as_version=4)
    for cell in bare.cells:
        cell.outputs = []
    for name, document in (("bare", bare), ("whole", nbformat.read(saved, as_version=4))):
        pages[name] = tmp_path / f"{name}.html"
        pages[name].write_text(HTMLExporter().from_notebook_node(document)[0], "utf-8")
    asked = {"bare": [], "whole": []}
    for name, place in pages.items():
        with shown(place.as_uri(), outside=asked[name]) as page:
            page.wait_for_load_state()
            if name == "whole":
                page.wait_for_function(READY)
                for at in (0, 1):
                    _works(page, at)
    # nbconvert's own frame asks for MathJax and such; what groundviz put into it asks for nothing.
    assert set(asked["whole"]) == set(asked["bare"])
