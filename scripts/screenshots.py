"""The viewer as its hosts show it, photographed in Chromium: a part of `python scripts/doc_images.py`.

Needs Chromium on the path and the packages of the extras "browser" and "dicom". Every image is of
phantoms and of what the demo model says of them; nothing is retouched.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import groundviz
from benchmarks.browser import launched
from groundviz.demo.samples import SAMPLES, Sample
from tests.jupyter import notebook, servers

ROOT = Path(__file__).parents[1]
SAMPLE_IMAGES = ROOT / "sample_images"
WIDTH, HEIGHT, SHARP, AIR = 1180, 860, 1.5, 16
# Milliseconds: Voila runs a notebook to its end before it answers.
PATIENCE = 120_000
VIEWER = ".gv-root[data-drawn]"
# What a notebook shows: the question, the answer's viewer, and nothing that is ours alone.
CELLS = (
    'import groundviz\n\nvlm = groundviz.load("demo")\nimage = "nodule.png"',
    'groundviz.explain(vlm, image, "Where is the nodule?")',
)
LIVE = (
    CELLS[0],
    'explanation = groundviz.explain(vlm, image, "Where is the nodule?", methods="attention")\n'
    "viewer = explanation.view(vlm)\nviewer",
    "print(viewer.selected, viewer.method)",
)


@dataclass(frozen=True)
class Scene:
    """One photograph of a page of its own.

    Attributes:
        name: Of the image.
        page: What makes the page.
        act: What a reader does on it before the photograph.
        dark: Whether the reader prefers dark pages.
        whole: Whether the whole window is shown, or the viewer alone.
        saved: Whether it is the image that the viewer itself saves.
    """

    name: str
    page: Callable[[], str]
    act: Callable[[Any], None] = lambda page: None
    dark: bool = False
    whole: bool = False
    saved: bool = False


def screens(vlm: Any) -> Iterator[tuple[str, bytes]]:
    """The name and the PNG of every photograph, one by one.

    Args:
        vlm: The demo model, as `groundviz.load` returns it.
    """
    with launched() as browser, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for scene in scenes(vlm):
            place = folder / f"{scene.name}.html"
            place.write_text(scene.page(), "utf-8")
            with opened(browser, place.as_uri(), dark=scene.dark) as page:
                page.wait_for_selector(VIEWER)
                scene.act(page)
                yield scene.name, sheet(page) if scene.saved else photograph(page, whole=scene.whole)
        yield from of_jupyterlab(browser, folder / "lab")
        yield from of_nbconvert(browser, folder / "nbconvert")
        yield from of_voila(browser, folder / "voila")


def scenes(vlm: Any) -> Iterator[Scene]:
    """Everything that is shown on pages of their own."""
    nodule, report = sample("nodule"), sample("two_findings")
    found = groundviz.explain(vlm, image("nodule"), "Where is the nodule?")
    told = groundviz.explain(vlm, image("two_findings"), "Describe the findings.")
    slices = groundviz.explain(vlm, str(SAMPLE_IMAGES / "nodule.dcm"), "Where is the nodule?")
    truth = {"nodule": nodule.draw().mask("nodule")}
    yield Scene("hover", found.to_html, hover("upper"))
    yield Scene("page_light", found.to_html, hover("upper"), whole=True)
    yield Scene("page_dark", found.to_html, hover("upper"), dark=True, whole=True)
    yield Scene("phrase", told.to_html, phrase("effusion", "base"))
    yield Scene("looked_here", told.to_html, point_at(report, "nodule"))
    yield Scene("question", told.to_html, chosen("findings"))
    yield Scene("difference", found.to_html, difference)
    yield Scene("window", slices.to_html, windowed)
    yield Scene("box", told.to_html, boxed(report, "effusion"))
    yield Scene("reference", lambda: found.to_html(contours=truth), outlined)
    yield Scene("wall", told.to_html, wall)
    yield Scene("sheet", found.to_html, difference, saved=True)
    yield Scene("compared", lambda: compared(vlm, nodule).to_html())


def sample(name: str) -> Sample:
    """One of the sample images, with its truth."""
    return next(one for one in SAMPLES if one.name == name)


def image(name: str) -> str:
    """A sample image's file."""
    return str(SAMPLE_IMAGES / f"{name}.png")


def compared(vlm: Any, nodule: Sample) -> Any:
    """The question about one chest before and after there was a nodule in it."""
    before = groundviz.demo.phantoms.phantom(
        nodule.seed, size=512, findings=nodule.findings, without=["nodule"]
    )
    both = [
        groundviz.explain(vlm, pixels, "Is there a nodule?")
        for pixels in (before.pixels, nodule.draw().pixels)
    ]
    return groundviz.compare(both, names=["Prior", "Current"])


def hover(word: str) -> Callable[[Any], None]:
    """Point at a word of the answer."""
    return lambda page: settle(page, lambda: token(page, word).hover())


def chosen(word: str) -> Callable[[Any], None]:
    """Choose a word of the question or the answer."""

    def act(page: Any) -> None:
        settle(page, token(page, word).click)
        away(page)

    return act


def phrase(first: str, last: str) -> Callable[[Any], None]:
    """Choose from one word to another."""

    def act(page: Any) -> None:
        token(page, first).click()
        settle(page, lambda: token(page, last).click(modifiers=["Shift"]))
        away(page)

    return act


def point_at(shown: Sample, finding: str) -> Callable[[Any], None]:
    """Point at a finding in the image."""
    return lambda page: settle(page, lambda: page.mouse.move(*middle(page, shown, finding)))


def boxed(shown: Sample, finding: str) -> Callable[[Any], None]:
    """Draw a box around a finding."""

    def act(page: Any) -> None:
        page.get_by_role("button", name="Box").click()
        x, y = middle(page, shown, finding)
        page.mouse.move(x - 90, y - 55)
        page.mouse.down()
        page.mouse.move(x, y)
        settle(page, lambda: page.mouse.move(x + 90, y + 55))
        page.mouse.up()
        away(page)

    return act


def difference(page: Any) -> None:
    """Attention beside gradient attention, and what parts them."""
    page.get_by_label("Beside it").select_option("gradient_attention")
    settle(page, lambda: page.get_by_label("Difference of the first two").check())


def wall(page: Any) -> None:
    """All layers and heads of a word."""
    token(page, "effusion").click()
    page.keyboard.press("l")
    page.locator(".gv-wall-grid button").first.wait_for()


def sheet(page: Any) -> bytes:
    """What the viewer saves."""
    with page.expect_download() as kept:
        page.get_by_role("button", name="Save as PNG").click()
    return Path(kept.value.path()).read_bytes()


def windowed(page: Any) -> None:
    """Drag with the window tool, to see more within the lungs."""
    page.get_by_role("button", name="Window").click()
    frame = page.locator(".gv-frame canvas").first.bounding_box()
    x, y = frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 60, y - 20)
    settle(page, lambda: page.mouse.move(x - 130, y - 45))
    page.mouse.up()


def outlined(page: Any) -> None:
    """Ask what looked inside what is known from elsewhere."""
    token(page, "right").focus()
    settle(page, lambda: page.keyboard.press("g"))


def middle(page: Any, shown: Sample, finding: str) -> tuple[float, float]:
    """Where the middle of a finding is on the screen."""
    mask = shown.draw().mask(finding)
    row, col = (float(axis.mean()) for axis in mask.nonzero())
    frame = page.locator(".gv-frame canvas").first.bounding_box()
    return (
        frame["x"] + frame["width"] * (col + 0.5) / mask.shape[1],
        frame["y"] + frame["height"] * (row + 0.5) / mask.shape[0],
    )


def of_jupyterlab(browser: Any, home: Path) -> Iterator[tuple[str, bytes]]:
    """A notebook in JupyterLab, light and dark, and the live viewer measuring one more method."""
    with servers.jupyterlab(home) as lab:
        written(lab.folder / "Nodule.ipynb", CELLS)
        written(lab.folder / "Live.ipynb", LIVE)
        for theme in ("Light", "Dark"):
            with opened(browser, lab.url("lab/tree/Nodule.ipynb") + "&reset") as page:
                run(page, f"JupyterLab {theme}")
                yield f"lab_{theme.lower()}", photograph(page, whole=True)
        with opened(browser, lab.url("lab/tree/Live.ipynb") + "&reset") as page:
            run(page, "JupyterLab Light")
            measure(page, "gradient_attention")
            yield "lab_live", photograph(page, whole=True)


def run(page: Any, theme: str) -> None:
    """Run a notebook under a theme, with nothing beside it, and show its viewer from the top."""
    opened = notebook.Notebook(page)
    page.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
    page.evaluate("jupyterapp.commands.execute('application:toggle-left-area')")
    opened.run()
    page.wait_for_selector(VIEWER)
    page.wait_for_timeout(1500)
    page.locator(".jp-Cell").nth(1).evaluate("cell => cell.scrollIntoView()")
    page.wait_for_timeout(500)


def measure(page: Any, method: str) -> None:
    """Have the live viewer measure one more method."""
    page.get_by_label("Also").select_option(method)
    page.get_by_role("button", name="Measure").click()
    page.locator(f"select[aria-label=Method] option[value={method}]").first.wait_for(state="attached")
    settle(page, lambda: page.get_by_label("Method", exact=True).first.select_option(method))


def of_nbconvert(browser: Any, folder: Path) -> Iterator[tuple[str, bytes]]:
    """The page that nbconvert makes of a notebook that was run."""
    import nbformat
    from nbclient import NotebookClient
    from nbconvert import HTMLExporter

    folder.mkdir()
    ran = nbformat.read(written(folder / "nodule.ipynb", CELLS), as_version=4)
    own = {**os.environ, "PYTHONPATH": str(ROOT)}
    beside = {"metadata": {"path": str(folder)}}
    NotebookClient(ran, kernel_name="python3", timeout=600, resources=beside).execute(env=own)
    place = folder / "nodule.html"
    place.write_text(HTMLExporter().from_notebook_node(ran)[0], "utf-8")
    with opened(browser, place.as_uri()) as page:
        page.wait_for_selector(VIEWER)
        hover("upper")(page)
        yield "nbconvert", photograph(page, whole=True)


def of_voila(browser: Any, home: Path) -> Iterator[tuple[str, bytes]]:
    """The same notebook in Voila, which shows no code."""
    with servers.voila(home) as voila:
        written(voila.folder / "nodule.ipynb", CELLS)
        with opened(browser, voila.url("voila/render/nodule.ipynb")) as page:
            page.wait_for_selector(VIEWER)
            hover("upper")(page)
            yield "voila", photograph(page, whole=True)


def written(place: Path, cells: tuple[str, ...]) -> Path:
    """A notebook of these cells, beside the image that it is about."""
    shutil.copy(image("nodule"), place.parent)
    return notebook.write(place, *cells)


@contextmanager
def opened(browser: Any, address: str, *, dark: bool = False) -> Iterator[Any]:
    """A window on a page."""
    context = browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT},
        device_scale_factor=SHARP,
        color_scheme="dark" if dark else "light",
    )
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(address)
    yield page
    context.close()


def token(page: Any, word: str) -> Any:
    """A word of the answer."""
    return page.get_by_role("option", name=word, exact=True).first


def away(page: Any) -> None:
    """Point at nothing, which need not change what is drawn."""
    page.mouse.move(2, 2)
    page.wait_for_timeout(300)


def settle(page: Any, does: Callable[[], Any]) -> None:
    """Do something, and wait until it has been drawn."""
    before = page.get_attribute(VIEWER, "data-seq")
    does()
    page.wait_for_function("before => document.querySelector('.gv-root').dataset.seq !== before", arg=before)


def photograph(page: Any, *, whole: bool) -> bytes:
    """The window, or the viewer alone with some air around it."""
    if whole:
        return bytes(page.screenshot())
    box = page.locator(".gv-root").first.bounding_box()
    page.set_viewport_size({"width": WIDTH, "height": round(box["y"] + box["height"]) + 2 * AIR})
    page.wait_for_timeout(300)
    box = page.locator(".gv-root").first.bounding_box()
    size = {"width": box["width"] + 2 * AIR, "height": box["height"] + 2 * AIR}
    return bytes(page.screenshot(clip={"x": box["x"] - AIR, "y": box["y"] - AIR, **size}))
