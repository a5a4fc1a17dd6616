"""The viewer in a real JupyterLab: alive, saved, reopened without its kernel, deaf to the notebook's keys.

Needs playwright, Chromium, JupyterLab and anywidget: `pytest -m slow tests/render/test_jupyterlab.py`.
"""

import importlib.util
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
NEEDED = ("playwright", "jupyterlab", "ipykernel", "anywidget")
MISSING = [name for name in NEEDED if not importlib.util.find_spec(name)] + ["Chromium"] * (not CHROMIUM)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(MISSING) and not os.environ.get("GROUNDVIZ_REQUIRE_BROWSER"),
        reason=f"not installed: {', '.join(MISSING)}",
    ),
]
CELLS = (
    "from tests import records\n"
    "from groundviz.explanation import Explanation\n"
    "explanation = Explanation(records.record(256, 256))",
    "explanation",
    "live = explanation.view()\nlive",
    "print(live.selected, live.layer, live.method)",
)
PANEL = "jupyterapp.shell.currentWidget"
CELL_COUNT = f"{PANEL}.content.model.cells.length"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A JupyterLab of its own: its address, and the folder it shows."""
    home = tmp_path_factory.mktemp("lab")
    folder, settings = home / "notebooks", home / "settings"
    quiet = settings / "@jupyterlab" / "apputils-extension"
    for one in (folder, quiet):
        one.mkdir(parents=True)
    (quiet / "notification.jupyterlab-settings").write_text(
        '{"fetchNews": "false", "checkForUpdates": false}'
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(8)
    places = {
        f"JUPYTER{name}": str(home / name.strip("_").lower())
        for name in ("_CONFIG_DIR", "_DATA_DIR", "_RUNTIME_DIR", "LAB_WORKSPACES_DIR")
    }
    root = str(Path(__file__).parents[2])
    own = {"JUPYTERLAB_SETTINGS_DIR": str(settings), "IPYTHONDIR": str(home / "ipython"), "PYTHONPATH": root}
    options = f"--ServerApp.port={port} --ServerApp.port_retries=0 --ServerApp.root_dir={folder}".split()
    options += "--no-browser --ip=127.0.0.1 --allow-root --LabApp.expose_app_in_browser=True".split()
    with (home / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options, "--LabApp.extension_manager=readonly"],
            env={**os.environ, **places, **own, "JUPYTER_TOKEN": token},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(f"http://127.0.0.1:{port}/api/status?token={token}")
        yield f"http://127.0.0.1:{port}", token, folder
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def _wait(address: str) -> None:
    for _ in range(120):
        try:
            urllib.request.urlopen(address)  # noqa: S310
            return
        except urllib.error.URLError:
            time.sleep(0.5)
    raise TimeoutError("JupyterLab did not start.")


def _notebook(place: Path) -> None:
    cells = [
        {
            "cell_type": "code",
            "metadata": {"trusted": True},
            "source": source,
            "outputs": [],
            "execution_count": None,
            "id": f"cell-{number}",
        }
        for number, source in enumerate(CELLS)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    document = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    place.write_text(json.dumps(document))


@contextmanager
def _opened(browser, lab, name: str):
    """The notebook in a fresh browser context that reaches this JupyterLab alone."""
    address, token, _ = lab
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    outside, raised = [], []

    def allow(route):
        if route.request.url.startswith((address, "data:", "blob:")):
            return route.continue_()
        outside.append(route.request.url)
        return route.abort()

    context.route("**/*", allow)
    page = context.new_page()
    page.on("pageerror", lambda error: raised.append(str(error)))
    page.goto(f"{address}/lab/tree/{name}?token={token}&reset")
    page.wait_for_function(f"() => window.jupyterapp?.shell?.currentWidget && {PANEL}.context?.isReady")
    yield page
    assert (outside, raised) == ([], [])
    context.close()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as play:
        running = play.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield running
        running.close()


def test_a_notebook_is_run_touched_saved_and_reopened_without_its_kernel(browser, lab):
    _notebook(lab[2] / "case.ipynb")
    with _opened(browser, lab, "case.ipynb") as page:
        kernel = f"{PANEL}.sessionContext.session?.kernel?.status"
        page.wait_for_function(f"() => {kernel} === 'idle'", timeout=60_000)
        page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
        live = page.locator(".gv-root[data-live]:not([data-live=''])")
        live.wait_for()
        page.wait_for_function("() => document.querySelectorAll('.gv-root[data-drawn]').length === 2")
        # The snapshot stays behind its live viewer; what is seen is the default display alone.
        page.wait_for_timeout(3000)
        assert page.locator("div.groundviz:visible").count() == 1
        live.locator(".gv-token").nth(3).click()
        for key in ("a", "b", "x", "d", "d", "ArrowRight", "ArrowUp", "m"):
            page.keyboard.press(key)
        live.locator("canvas").first.click(button="right")
        assert page.locator(".lm-Menu:visible").count() == 0
        assert page.evaluate(CELL_COUNT) == len(CELLS)
        page.wait_for_timeout(500)
        page.evaluate(f"() => {{ {PANEL}.content.activeCellIndex = 3; }}")
        page.evaluate("jupyterapp.commands.execute('notebook:run-cell')")
        said = f"{PANEL}.content.model.cells.get(3).outputs.toJSON()[0]?.text"
        page.wait_for_function(f"() => {said}?.startsWith('[4]')")
        assert page.evaluate(said) == "[4] -1 occlusion\n"
        page.evaluate("jupyterapp.commands.execute('docmanager:save')")
        page.wait_for_function(f"() => !{PANEL}.context.model.dirty")
        page.evaluate(f"{PANEL}.sessionContext.shutdown()")
    assert (lab[2] / "case.ipynb").stat().st_size < 2_500_000
    with _opened(browser, lab, "case.ipynb") as page:
        page.wait_for_function("() => document.querySelectorAll('.gv-root[data-drawn]').length === 2")
        assert page.locator(".gv-root[data-live]:not([data-live=''])").count() == 0
        assert page.get_by_text("model not found").locator("visible=true").count() == 0
        viewer = page.locator(".gv-root").last
        viewer.scroll_into_view_if_needed()
        before = viewer.get_attribute("data-drawn")
        viewer.locator(".gv-token").nth(4).hover()
        page.wait_for_function(
            "before => [...document.querySelectorAll('.gv-root')].at(-1).dataset.drawn !== before",
            arg=before,
        )
