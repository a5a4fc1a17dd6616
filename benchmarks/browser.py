"""A real Chromium, and how long it takes from a pointer or a key to what is drawn."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
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


def found() -> str | None:
    """Where a Chromium is on the path, or None."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


@contextmanager
def chromium() -> Iterator[Any]:
    """The system's own Chromium, through playwright.

    Raises:
        FileNotFoundError: There is none on the path.
    """
    from playwright.sync_api import sync_playwright

    program = found()
    if program is None:
        raise FileNotFoundError(f"No browser was found: looked for {', '.join(PROGRAMS)}. Install Chromium.")
    with sync_playwright() as play:
        running = play.chromium.launch(executable_path=program, headless=True, args=ARGUMENTS)
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
