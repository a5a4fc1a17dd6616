"""A real browser, and how long it takes in one from a pointer or a key to what is drawn."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PROGRAMS = {
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "firefox": ("firefox", "firefox-esr"),
}
CHOSEN = os.environ.get("GROUNDVIZ_BROWSER", "chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
]
# From the time stamp of an input to the end of the drawing that it leads to, and to the frame after that.
# A page that is not the viewer says `finished()` itself.
STOPWATCH = """
window.took = [];
let began = null;
for (const kind of ["pointerover", "pointermove", "keydown"])
  addEventListener(kind, (event) => { began = event.timeStamp; }, true);
window.finished = () => {
  window.first ??= performance.now();
  if (began === null) return;
  const start = began, drawn = performance.now() - start;
  began = null;
  requestAnimationFrame(() => window.took.push([drawn, performance.now() - start]));
};
new MutationObserver(finished).observe(document, { subtree: true, attributeFilter: ["data-seq"] });
"""


def found(name: str = CHOSEN) -> str | None:
    """Where a browser is on the path, or None."""
    return next(filter(None, map(shutil.which, PROGRAMS[name])), None)


@contextmanager
def launched(name: str = CHOSEN) -> Iterator[Any]:
    """The system's own Chromium or Firefox, through playwright.

    Raises:
        FileNotFoundError: There is none on the path.
    """
    from playwright.sync_api import sync_playwright

    program = found(name)
    if program is None:
        looked = ", ".join(PROGRAMS[name])
        raise FileNotFoundError(f"No browser was found: looked for {looked}. Install {name.capitalize()}.")
    with sync_playwright() as play:
        options: dict[str, Any] = {"executable_path": program, "headless": True}
        if name == "firefox":
            # WebDriver BiDi, which a Firefox has that playwright did not build.
            running = play.firefox.launch(channel="moz-firefox", **options)
        else:
            running = play.chromium.launch(args=ARGUMENTS, **options)
        try:
            yield running
        finally:
            running.close()


@contextmanager
def timed(browser: Any, address: str = "about:blank") -> Iterator[Any]:
    """A page with a stopwatch in it, which counts what it asks of the network."""
    context = browser.new_context(viewport={"width": 1180, "height": 875})
    page = context.new_page()
    page.add_init_script(STOPWATCH)
    page.asked = []
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(address)
    yield page
    context.close()
