"""Voila shows notebooks as pages, without their code: both displays draw, and both follow the pointer.

pip install ".[test,browser]" && pytest -m jupyter
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager

import numpy as np
import pytest

from tests.jupyter import notebook, servers
from tests.jupyter.notebook import LIVE, STILL, Viewer
from tests.support.browser import TWO_FRAMES

pytestmark = pytest.mark.jupyter

CELLS = (
    "from groundviz.explanation import Explanation\n"
    "from tests.jupyter import cases\n"
    "explanation = Explanation(cases.case())\n"
    "explanation",
    "explanation.view()",
)


@pytest.fixture(scope="module")
def voila(needed, tmp_path_factory):
    with servers.voila(tmp_path_factory.mktemp("voila")) as running:
        yield running


@pytest.fixture
def rendered(shown):
    @contextmanager
    def rendered(voila, name):
        outside = []
        with shown(voila.url(f"voila/render/{name}"), home=voila.address, outside=outside) as page:
            yield page
        # Voila's own frame asks for its icons; nothing else asks for anything.
        assert [url for url in outside if "/@fortawesome/" not in url] == []

    return rendered


def test_an_explanation_and_its_live_viewer(voila, rendered):
    notebook.write(voila.folder / "both.ipynb", *CELLS)
    with rendered(voila, "both.ipynb") as page:
        drawn = page.locator(".gv-root[data-drawn]").locator("visible=true")
        for _ in range(3):
            drawn.nth(1).wait_for(timeout=120_000)
            if page.locator(LIVE).count():
                break
            # On a busy machine Voila itself may lose a widget ("widget model not found").
            page.reload(wait_until="commit", timeout=120_000)
        for which in (STILL, LIVE):
            viewer = Viewer(page.locator(which).first).wait()
            viewer.root.scroll_into_view_if_needed()
            viewer.token("upper").hover()
            viewer.shows("attention|4|-1|-1")
            viewer.token("left").click()
            viewer.away()
            viewer.shows("attention|3|-1|-1")
            assert viewer.chosen() == ["left"]


def test_the_quickstart(voila, rendered):
    shutil.copy(servers.ROOT / "notebooks" / "01_quickstart.ipynb", voila.folder)
    with rendered(voila, "01_quickstart.ipynb") as page:
        drawn = page.locator(".gv-root[data-drawn]").locator("visible=true")
        drawn.nth(1).wait_for(timeout=120_000)
        assert page.get_by_text("Traceback").count() == 0
        for at in (0, 1):
            viewer = Viewer(drawn.nth(at))
            viewer.root.scroll_into_view_if_needed()
            assert changes_under_the_pointer(viewer)


def changes_under_the_pointer(viewer: Viewer) -> bool:
    """Whether pointing at the first token draws something else; Voila may still be moving its widgets."""
    for _ in range(20):
        viewer.away()
        viewer.page.evaluate(TWO_FRAMES)
        before = viewer.pixels()
        viewer.root.locator(".gv-token").first.hover()
        viewer.page.evaluate(TWO_FRAMES)
        if not np.array_equal(viewer.pixels(), before):
            return True
    return False
