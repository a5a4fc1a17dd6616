"""A Chromium for each file and one JupyterLab for all; a page may reach that server and nothing else.

Without the packages of the extra "browser", or without a Chromium on the path, these tests are skipped,
unless GROUNDVIZ_REQUIRE_BROWSER is set.
"""

from __future__ import annotations

import importlib.util
import os
from contextlib import contextmanager

import pytest

from benchmarks.browser import found, launched
from tests.jupyter import cases, servers
from tests.jupyter.notebook import Notebook

NEEDED = ("playwright", "axe_playwright_python", "jupyterlab", "anywidget", "nbconvert", "voila")
PATIENCE = 60_000


@pytest.fixture(scope="session")
def needed():
    missing = [name for name in NEEDED if not importlib.util.find_spec(name)] + ["Chromium"] * (not found())
    if missing and not os.environ.get("GROUNDVIZ_REQUIRE_BROWSER"):
        pytest.skip(f"not installed: {', '.join(missing)}")


# Playwright allows one browser at a time, and other tests have theirs.
@pytest.fixture(scope="module")
def browser(needed):
    with launched() as running:
        yield running


@pytest.fixture(scope="session")
def lab(needed, tmp_path_factory):
    with servers.jupyterlab(tmp_path_factory.mktemp("lab")) as running:
        yield running


@pytest.fixture(scope="module")
def shown(browser):
    """Opens an address in a browser that may reach nothing else: a page, watched."""
    return lambda address, **options: _shown(browser, address, **options)


@pytest.fixture(scope="module")
def opened(lab, shown):
    """Opens a notebook of JupyterLab's folder."""

    @contextmanager
    def opened(name, **options):
        with shown(lab.url(f"lab/tree/{name}") + "&reset", home=lab.address, **options) as page:
            yield Notebook(page)

    return opened


@contextmanager
def _shown(browser, address, *, home="file:", outside=None, **options):
    """A page that reaches what begins like `home`; it asks for nothing else and raises nothing.

    Args:
        browser: Where it opens.
        address: What is opened.
        home: How addresses begin that may be reached.
        outside: Takes other addresses that were asked for, where some are to be expected.
        options: Those of a browser context.
    """
    context = browser.new_context(**{"viewport": cases.SCREEN, **options})
    context.set_default_timeout(PATIENCE)
    asked, raised = [] if outside is None else outside, []

    def allow(route):
        if route.request.url.startswith((home, "data:", "blob:")):
            return route.continue_()
        asked.append(route.request.url)
        return route.abort()

    context.route("**/*", allow)
    page = context.new_page()
    page.on("pageerror", lambda error: raised.append(str(error)))
    page.on("dialog", lambda dialog: raised.append(f"dialog: {dialog.message}"))
    try:
        # Voila runs a whole notebook before the page is there.
        page.goto(address, wait_until="commit", timeout=2 * PATIENCE)
        yield page
        assert raised == []
        assert outside is not None or asked == []
    finally:
        context.close()
