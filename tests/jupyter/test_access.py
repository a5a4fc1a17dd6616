"""axe-core finds nothing wrong: on the page of its own, and in JupyterLab's output, light and dark.

pip install ".[test,browser]" && pytest -m jupyter
"""

from __future__ import annotations

import pytest

from groundviz.explanation import Explanation
from tests.jupyter import cases, notebook
from tests.jupyter.notebook import Viewer
from tests.support import records

pytestmark = pytest.mark.jupyter

CELLS = (
    "from groundviz.explanation import Explanation\n"
    "from tests.jupyter import cases\n"
    "live = Explanation(cases.case()).view(compare=['occlusion'], difference=True)\nlive",
)
THEMES = ("light", "dark")


def _faults(page, within=None) -> list[tuple[str, list[str]]]:
    """What axe-core objects to: the rule, and where."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, context=within).response["violations"]
    return [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found]


def _used(viewer: Viewer) -> None:
    """All of it unfolded, a token chosen, and another under the pointer."""
    viewer.root.get_by_text("Every check").click()
    viewer.root.get_by_text("Keys and gestures").click()
    viewer.token("left").click()
    viewer.token("upper").hover()
    viewer.shows("attention|4|-1|-1")


@pytest.mark.parametrize("theme", THEMES)
def test_the_page_of_its_own(shown, tmp_path, theme):
    place = tmp_path / "case.html"
    Explanation(records.checked(cases.case(), "no", attention="shown", occlusion="depends")).to_html(place)
    # Its policy allows no script but the viewer's, and so not axe-core either.
    with shown(place.as_uri(), color_scheme=theme, bypass_csp=True) as page:
        viewer = Viewer(page.locator(".gv-root")).wait()
        assert _faults(page) == []
        _used(viewer)
        for summary in page.locator("article > details > summary").all():
            summary.click()
        assert _faults(page) == []


def test_the_viewer_in_jupyterlab(lab, opened):
    place = notebook.write(lab.folder / "access.ipynb", *CELLS)
    with opened(place.name) as page:
        page.run()
        viewer = page.live.wait()
        viewer.root.scroll_into_view_if_needed()
        _used(viewer)
        for theme in THEMES:
            name = f"JupyterLab {theme.capitalize()}"
            page.page.evaluate(
                "theme => jupyterapp.commands.execute('apputils:change-theme', { theme })", name
            )
            page.page.locator(f"body[data-jp-theme-name='{name}']").wait_for(state="attached")
            assert _faults(page.page, notebook.LIVE) == []
