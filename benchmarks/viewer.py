"""How fast the viewer is under the hand: `python benchmarks/viewer.py [--write]`.

Needs Chromium on the path, playwright and plotly. A record of the size that the viewer is made for is
shown in a real browser, and a real pointer goes from token to token. Beside it, in the same run, what one
would use without it: a page with a plotly heatmap that is given new values on hover, and a matplotlib
figure that is drawn again in Python for every token, the way to the browser left out.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.browser import launched, timed
from benchmarks.report import publish, table
from groundviz import images
from groundviz.demo.phantoms import phantom
from groundviz.explanation import Explanation
from groundviz.record.geometry import scale_shift
from groundviz.record.targets import find
from groundviz.record.types import (
    Answer,
    Floats,
    Grid,
    Heatmaps,
    Prompt,
    Provenance,
    Record,
    SourceImage,
    Span,
)
from groundviz.render.viewer import assets, pack

# The viewer as a live widget has it, with a model that counts what would go to Python.
SHIM = """async (packed) => {
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const held = { _pack: new DataView(bytes.buffer), _live: "" };
  const changed = {};
  window.sent = 0;
  const say = (what) => { window.sent += JSON.stringify(what).length; };
  const model = {
    get: (name) => held[name], set: (name, value) => { held[name] = changed[name] = value; },
    save_changes: () => say(changed), send: say, on() {}, off() {},
  };
  await window.render({ model, el: document.body });
}"""
# Resolves when what was asked for before is on the screen.
SETTLED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
# What redraws a plotly heatmap when the pointer comes to a word.
HOVER = """
const plot = document.getElementById("{plot_id}"), maps = MAPS, words = document.createElement("p");
maps.forEach((z, at) => {
  const word = document.createElement("span");
  word.className = "word";
  word.textContent = "word" + at + " ";
  word.addEventListener("pointerenter", () => Plotly.restyle(plot, { z: [z] }, [0]).then(finished));
  words.append(word);
});
document.body.prepend(words);
finished();
"""


@dataclass(frozen=True)
class Size:
    """How much is shown: pixels and cells along a side, tokens, layers, heads, bits; hovers on each token."""

    side: int = 1024
    tokens: int = 64
    layers: int = 24
    heads: int = 16
    cells: int = 24
    rounds: int = 3
    bits: int = 8


# What the viewer is made for, and as little as runs every line.
FULL, TOY = Size(), Size(side=128, tokens=3, layers=2, heads=2, cells=12, rounds=1)
# A long report, alone and about as large an image as the viewer shows, in all its bits.
REPORTS = {
    "a report of 300 words": Size(tokens=300, heads=1, rounds=1),
    "the same, over 4,096 x 4,096 pixels of 16 bits": Size(side=4096, tokens=300, heads=1, rounds=1, bits=16),
}
TOYS = {name: replace(size, side=size.side // 8, tokens=3, layers=2) for name, size in REPORTS.items()}
# When the page shows something for the first time: the image with its map, before any script has run.
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
# Steps of a drag with the window tool.
STEPS = 40


@dataclass(frozen=True)
class Hovers:
    """What a run of hovers took: milliseconds to the drawing, and to the frame after it.

    Attributes:
        drawn: From the pointer's time stamp to the end of the drawing.
        framed: To the next frame, by which it is on the screen.
        first: From the request of the page to its first drawing, seconds.
        sent: Bytes for Python, and requests to anywhere.
    """

    drawn: Sequence[float]
    framed: Sequence[float]
    first: float
    sent: int

    def cells(self, to: float) -> list[str]:
        """As cells of a table row; `to` is the median frame that others are compared with."""
        drawn, framed = statistics.median(self.drawn), statistics.median(self.framed)
        slow = [float(np.percentile(one, 95)) for one in (self.drawn, self.framed)]
        times = [f"{drawn:.0f}", f"{slow[0]:.0f}", f"{framed:.0f}", f"{slow[1]:.0f}"]
        return [*times, f"{framed / to:.1f}", f"{self.first:.2f}", str(self.sent)]


def record(size: Size = FULL) -> Record:
    """An image, an answer, and attention of every layer and head, of such a size."""
    source_image = images.load(_levels(size))
    grid = Grid(
        rows=size.cells,
        cols=size.cells,
        positions=np.arange(1, 1 + size.cells**2, dtype=np.int64),
        to_source=scale_shift((size.side / size.cells, size.side / size.cells), (0.0, 0.0)),
        valid=np.ones((size.cells, size.cells), dtype=bool),
        stage="language",
    )
    answer = _answer(size)
    maps = Heatmaps(
        values=_attention(size),
        targets=tuple(find(answer, index) for index in range(size.tokens)),
        layers=tuple(range(size.layers)),
        reduce=("mean", "mean", "mean"),
        method="attention",
        unit="share of attention",
        signed=False,
        grid=grid,
        params={},
    )
    return _record(source_image, _prompt(grid), answer, maps)


def _levels(size: Size) -> npt.NDArray[np.unsignedinteger[Any]]:
    """A phantom's pixels; those of 16 bits have grain, as those of a detector do."""
    pixels = phantom(20_000_000, size=min(size.side, 1024)).pixels
    if size.bits == 8:
        return np.round(255 * pixels).astype(np.uint8)
    pixels = np.kron(pixels, np.ones((size.side // len(pixels),) * 2))
    grain = np.random.default_rng(2).normal(0.0, 0.004, pixels.shape)
    return np.round(65535 * np.clip(pixels + grain, 0, 1)).astype(np.uint16)


def _answer(size: Size) -> Answer:
    words = ["word0", *(f" word{index}" for index in range(1, size.tokens))]
    lengths = np.array([len(word) for word in words])
    return Answer(
        text="".join(words),
        token_ids=np.arange(size.tokens, dtype=np.int64),
        tokens=tuple(words),
        offsets=np.stack([np.cumsum(lengths) - lengths, np.cumsum(lengths)], axis=1),
        logprobs=np.full(size.tokens, -0.1, np.float32),
        source="generated",
    )


def _attention(size: Size) -> Floats:
    """Shares of attention: few strong cells, a place of its own for each token, many small ones."""
    rng = np.random.default_rng(0)
    cells, shape = size.cells, (size.tokens, size.layers, size.heads, size.cells, size.cells)
    values = rng.exponential(1.0, shape).astype(np.float32) ** 3
    row, col = np.mgrid[:cells, :cells]
    for token, (y, x) in enumerate(rng.uniform(4, cells - 4, (size.tokens, 2))):
        values[token] += 60 * np.exp(-(((row - y) ** 2 + (col - x) ** 2) / 8)).astype(np.float32)
    return values / values.sum(axis=(-2, -1), keepdims=True)


def _prompt(grid: Grid) -> Prompt:
    count = grid.rows * grid.cols
    return Prompt(
        text="<image> What is seen?",
        question="What is seen?",
        token_ids=np.arange(count + 2, dtype=np.int64),
        tokens=("<s>", *["<image>"] * count, "What is seen?"),
        spans=(
            Span(kind="image", start=1, stop=count + 1),
            Span(kind="question", start=count + 1, stop=count + 2),
        ),
        grids=(grid,),
    )


def _record(source_image: SourceImage, prompt: Prompt, answer: Answer, maps: Heatmaps) -> Record:
    made = Provenance(
        model="benchmark",
        family="none",
        weights="none",
        dtype="float32",
        device="cpu",
        attention="none",
        seed=0,
        seconds=0.0,
        versions={},
    )
    return Record(
        source_images=(source_image,),
        prompt=prompt,
        answer=answer,
        targets=(find(answer),),
        heatmaps=(maps,),
        provenance=made,
    )


def hover(page: Any, words: str, rounds: int) -> tuple[Sequence[float], Sequence[float]]:
    """Go with a real pointer to each word, in a random order that is always the same, several times."""
    each = page.locator(words).all()
    took: list[tuple[float, float]] = []
    rng = np.random.default_rng(1)
    order = np.concatenate([rng.permutation(len(each)) for _ in range(rounds)])
    # Where the pointer is already there is nothing to draw.
    for at in order[np.append(True, order[1:] != order[:-1])]:
        # A long answer is scrolled, with the pointer elsewhere, so that it meets no other word.
        page.mouse.move(2, 2)
        each[at].scroll_into_view_if_needed()
        page.evaluate(SETTLED)
        took.append(moved(page, *middle(each[at])))
    drawn, framed = zip(*took, strict=True)
    return drawn, framed


def middle(part: Any) -> tuple[float, float]:
    """Where the middle of a part of a page is."""
    box = part.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def moved(page: Any, x: float, y: float) -> tuple[float, float]:
    """Move the pointer to where something is drawn of it; milliseconds to the drawing, and to its frame."""
    done = page.evaluate("took.length")
    page.mouse.move(x, y)
    page.wait_for_function("done => took.length > done", arg=done)
    drawn, framed = page.evaluate("done => took[done]", done)
    return drawn, framed


def drag(page: Any) -> tuple[Sequence[float], Sequence[float]]:
    """Drag with the window tool over the image, from its middle outward, step by step."""
    page.get_by_role("button", name="Window").click()
    x, y = middle(page.locator(".gv-frame canvas").first)
    page.mouse.move(x, y)
    page.mouse.down()
    took: list[tuple[float, float]] = []
    for step in range(1, STEPS + 1):
        page.evaluate(SETTLED)
        took.append(moved(page, x + 3 * step, y - step))
    page.mouse.up()
    drawn, framed = zip(*took, strict=True)
    return drawn, framed


def reports(browser: Any, folder: Path, kinds: Mapping[str, Size]) -> Iterator[list[str]]:
    """Pages of long reports: what they weigh, and what pointing at words and dragging a window take."""
    place = folder / "report.html"
    for name, size in kinds.items():
        place.write_text(Explanation.from_record(record(size)).to_html(), "utf-8")
        with timed(browser, place.as_uri()) as page:
            page.wait_for_function("() => window.first")
            first = [page.evaluate(when) / 1000 for when in (PAINTED, "first")]
            (hovered, _), (dragged, _) = hover(page, ".gv-answer .gv-token", size.rounds), drag(page)
        took = ((statistics.median(one), np.percentile(one, 95)) for one in (hovered, dragged))
        times = [f"{at:.0f}" for pair in took for at in pair]
        yield [name, f"{place.stat().st_size / 1e6:.1f}", *(f"{at:.2f}" for at in first), *times]


def on_page(browser: Any, text: str, words: str, folder: Path, *, rounds: int) -> Hovers:
    """Hovers on a page of its own."""
    place = folder / "page.html"
    place.write_text(text, "utf-8")
    with timed(browser, place.as_uri()) as page:
        page.wait_for_function("() => window.first")
        drawn, framed = hover(page, words, rounds)
        asked = [url for url in page.asked if not url.startswith(("data:", "blob:", place.as_uri()))]
        return Hovers(drawn, framed, page.evaluate("first") / 1000, len(asked))


def live(browser: Any, packed: bytes, *, rounds: int) -> Hovers:
    """Hovers on the live viewer, whose model counts what it is to send."""
    program = assets.module().replace("export default { render };", "window.render = render;")
    with timed(browser) as page:
        page.add_style_tag(content=assets.style())
        page.add_script_tag(content=program, type="module")
        page.wait_for_function("() => window.render")
        start = page.evaluate("performance.now()")
        page.evaluate(SHIM, base64.b64encode(packed).decode())
        page.wait_for_function("() => window.first")
        first = page.evaluate("first") - start
        drawn, framed = hover(page, ".gv-token", rounds)
        return Hovers(drawn, framed, first / 1000, page.evaluate("sent"))


def plotly(made: Record) -> str:
    """A page with a plotly heatmap over the image, given the mean map of the word under the pointer."""
    from plotly import graph_objects

    stream = io.BytesIO()
    Image.fromarray(np.round(255 * made.source_image.pixels).astype(np.uint8)).save(stream, "PNG")
    source = f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
    maps = np.round(made.heatmaps[0].values.mean(axis=(1, 2)), 6).tolist()
    side, cells = made.source_image.pixels.shape[0], made.heatmaps[0].grid.rows
    centres = (np.arange(cells) + 0.5) * side / cells
    shown = graph_objects.Figure(graph_objects.Heatmap(z=maps[0], x=centres, y=centres, opacity=0.5))
    place = {"x": 0, "y": 0, "sizex": side, "sizey": side, "xref": "x", "yref": "y", "layer": "below"}
    shown.add_layout_image(source=source, **place)
    shown.update_yaxes(autorange="reversed", scaleanchor="x")
    return str(shown.to_html(include_plotlyjs=True, post_script=HOVER.replace("MAPS", json.dumps(maps))))


def matplotlib(made: Record) -> Hovers:
    """A figure for every word, drawn in Python: what a widget of ipywidgets would have to send."""
    from matplotlib.figure import Figure

    took, side = [], made.source_image.pixels.shape[0]
    for index in range(len(made.answer.tokens)):
        start = time.perf_counter()
        axes = Figure(figsize=(6.2, 6.2)).subplots()
        axes.imshow(made.source_image.pixels, cmap="gray")
        shown = made.heatmaps[0].at(find(made.answer, index)).values
        axes.imshow(shown, cmap="inferno", alpha=0.5, extent=(0, side, side, 0))
        stream = io.BytesIO()
        axes.figure.savefig(stream, format="png")
        took.append(1000 * (time.perf_counter() - start))
    return Hovers(took, took, took[0] / 1000, len(stream.getvalue()))


def sizes(explanation: Explanation) -> Iterator[tuple[str, str, str]]:
    """What it weighs, in MB, and the seconds of a processor that Python takes to make it."""
    made: dict[str, Callable[[], int]] = {
        "payload: every layer, heads combined": lambda: len(pack.pack(explanation.record)),
        "the same with every head": lambda: len(pack.pack(explanation.record, detail="heads")),
        "output that a notebook keeps: HTML and PNG": lambda: sum(
            map(len, explanation._repr_mimebundle_().values())
        ),
        "page of its own": lambda: len(explanation.to_html().encode()),
    }
    for what, weigh in made.items():
        start = time.process_time()
        count = weigh()
        yield what, f"{count / 1e6:.2f}", f"{time.process_time() - start:.1f}"


def tables(browser: Any, folder: Path, size: Size, kinds: Mapping[str, Size]) -> str:
    """All tables, as the documentation shows them."""
    explanation = Explanation.from_record(record(size))
    packed, page = pack.pack(explanation.record), explanation.to_html()
    heatmap, rounds = plotly(explanation.record), size.rounds
    found = {
        "groundviz, a page": on_page(browser, page, ".gv-token", folder, rounds=rounds),
        "groundviz, the live viewer": live(browser, packed, rounds=rounds),
        "plotly heatmap in a page": on_page(browser, heatmap, ".word", folder, rounds=rounds),
        "matplotlib in Python, without the way to the browser": matplotlib(explanation.record),
    }
    to = statistics.median(found["groundviz, a page"].framed)
    head = ["drawn by", "hover to drawn: median ms", "p95", "hover to frame: median ms", "p95", "ratio"]
    head += ["first drawn after s", "for Python"]
    rows = [[name, *one.cells(to)] for name, one in found.items()]
    made = table(["what", "MB", "made in CPU s"], sizes(explanation))
    long = ["page", "MB", "first paint after s", "viewer drawn after s", "hover to drawn: median ms", "p95"]
    long += ["drag of the window to drawn: median ms", "p95"]
    told = table(long, reports(browser, folder, kinds))
    return f"{about(browser, size)}\n\n{table(head, rows)}\n{made}\n{told}"


def about(browser: Any, size: Size) -> str:
    """Where and with what this was measured."""
    hovers = size.tokens * size.rounds
    return f"{platform.machine()} CPU, headless Chromium {browser.version}, {hovers} hovers each"


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print, and with --write put the tables into docs/benchmarks.md."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    parser.add_argument("--toy", action="store_true", help="as little as runs every line, to try the code")
    chosen = parser.parse_args(argv)
    with launched() as browser, tempfile.TemporaryDirectory() as folder:
        size, kinds = (TOY, TOYS) if chosen.toy else (FULL, REPORTS)
        made = tables(browser, Path(folder), size, kinds)
        publish("viewer", made, write=chosen.write)


if __name__ == "__main__":
    main()
