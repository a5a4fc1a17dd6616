"""A sheet of paper in millimetres, measured from its top left corner.

Text is set here, not by matplotlib's layout engines, so that a figure has the same size and the
same line breaks everywhere. Images sit on whole dots of 1/300 inch: a raster made at that
resolution arrives in the file pixel by pixel.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import chain
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.image import AxesImage
from matplotlib.textpath import TextToPath

from groundviz.record.types import Doubles, Floats
from groundviz.render.base.escape import visible
from groundviz.render.base.overlay import blend, to_bytes

DPI = 300
INK, GREY = "#111111", "#595959"
# For what must not be overlooked; 5.9 to 1 against white.
WARN = "#b3400a"
# The same on black, for screens in dark rooms.
_ON_BLACK = {INK: "#f0f0f0", GREY: "#b0b0b0", WARN: "#ff9d5c"}
# Lighter than any tissue under it, and found in neither map of colours.
REFERENCE = "#7dffb0"

Levels = npt.NDArray[np.uint8]

_MM_PER_INCH = 25.4
MM_PER_POINT = _MM_PER_INCH / 72
_LEADING = 1.3
_LONGEST, _LONGEST_LABEL = 2000, 150
_LISTS = ("serif", "sans-serif", "monospace", "cursive", "fantasy")
# It comes with matplotlib, and holds every letter that groundviz itself writes.
_REST = "DejaVu Sans"


def dots(millimetres: float) -> int:
    """Whole dots nearest to a length."""
    return round(millimetres / _MM_PER_INCH * DPI)


def millimetres(count: float) -> float:
    """The length of so many dots."""
    return count / DPI * _MM_PER_INCH


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of text in one style."""

    text: str
    bold: bool = False
    colour: str = INK


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Lines of text ready to be placed: each line is runs with their distance from the left in mm."""

    lines: tuple[tuple[tuple[float, Run], ...], ...]
    size: float

    @property
    def height(self) -> float:
        """Millimetres from the top of the first line to the foot of the last."""
        return len(self.lines) * self.size * _LEADING * MM_PER_POINT

    @property
    def width(self) -> float:
        """Millimetres of the longest line."""
        ends = [left + measure(run, self.size) for left, run in chain.from_iterable(self.lines)]
        return max(ends, default=0.0)


def measure(run: Run, size: float) -> float:
    """Width in mm of a run at `size` points."""
    return _measured(run, size, family())


@lru_cache(maxsize=16384)
def _measured(run: Run, size: float, letters: str) -> float:
    font = FontProperties(family=_with_rest(letters), weight="bold" if run.bold else "normal", size=size)
    width, _, _ = TextToPath().get_text_width_height_descent(run.text, font, ismath=False)
    return float(width) * MM_PER_POINT


def family() -> str:
    """The font of the figure: the first of `rcParams["font.family"]` that is installed."""
    own: Any = mpl.rcParams
    wanted: list[str] = []
    for name in own["font.family"]:
        # "sans-serif" and its like stand for lists of fonts.
        wanted += own[f"font.{name}"] if name in _LISTS else [name]
    return _installed(tuple(wanted))


def families() -> list[str]:
    """The font of the figure, and where letters that it lacks come from."""
    return _with_rest(family())


def _with_rest(letters: str) -> list[str]:
    return list(dict.fromkeys([letters, _REST]))


@cache
def _installed(names: tuple[str, ...]) -> str:
    for name in names:
        with suppress(ValueError):
            findfont(FontProperties(family=name), fallback_to_default=False)
            return name
    return _REST


def printable(text: str) -> str:
    """`text` as the figure's font can draw it: white space as spaces, the undrawable spelled out."""
    return visible(re.sub(r"[ \t\n\r]+", " ", text[:_LONGEST]), drawable=_drawable(family()))


def fitted(run: Run, size: float, width: float) -> Run:
    """The run, cut with an ellipsis where it would be wider than `width` mm."""
    text = run.text[:_LONGEST_LABEL]
    while text and measure(run, size) > width:
        text = text[:-1].rstrip()
        run = Run(f"{text}…", run.bold, run.colour)
    return run


def paragraph(runs: Sequence[Run], size: float, width: float, *, most_lines: int = 4) -> Paragraph:
    """Runs broken into lines of at most `width` mm; a text longer than `most_lines` ends in an ellipsis."""
    lines: list[list[tuple[float, Run]]] = [[]]
    left = 0.0
    for word in _pieces(runs, size, width):
        bare = Run(word.text.rstrip(), word.bold, word.colour)
        if lines[-1] and left + measure(bare, size) > width:
            if len(lines) == most_lines:
                lines[-1] = _ended(lines[-1], size, width)
                break
            lines.append([])
            left = 0.0
        lines[-1].append((left, word))
        left += measure(word, size)
    return Paragraph(tuple(map(_joined, lines)), size)


def _pieces(runs: Sequence[Run], size: float, width: float) -> Iterator[Run]:
    """The words of runs, each with the spaces behind it, in pieces that each fit a line."""
    for run in runs:
        for part in re.findall("[^ ]+ *| +", run.text):
            yield from _broken(Run(part, run.bold, run.colour), size, width)


class _Raster(AxesImage):
    """A raster over all of its axes, dot by dot, in layers where the file can hold them.

    A PDF holds a layer once however often it is drawn, and a veil is simple beside a noisy image: one
    array for all images of one image is what keeps the file small.
    """

    def __init__(self, axes: Axes, flat: Levels, layers: Sequence[Levels]) -> None:
        extent = (*axes.get_xlim(), *axes.get_ylim())
        super().__init__(axes, extent=extent, interpolation="nearest", origin="upper")
        self.set_data(flat)
        self._layers = layers

    def draw(self, renderer: Any) -> None:
        """Draw the layers where they arrive dot by dot, and the flat image elsewhere."""
        dots_per_unit = renderer.get_image_magnification()
        edges = [round(edge * dots_per_unit) for edge in self.axes.bbox.extents]
        left, bottom, right, top = edges
        # A raster of another size would be interpolated, and its layers would part.
        exact = self._layers[0].shape[:2] == (top - bottom, right - left)
        if isinstance(renderer, RendererAgg) or not exact:
            super().draw(renderer)
            return
        ink = renderer.new_gc()
        for layer in self._layers:
            renderer.draw_image(ink, left / dots_per_unit, bottom / dots_per_unit, layer)
        ink.restore()


class Page:
    """A blank sheet of an exact size to place text, images and lines on.

    Args:
        width: Millimetres, kept exactly.
        height: Millimetres, rounded to whole dots.
        dark: Whether the sheet is black, and letters are light.
    """

    def __init__(self, width: float, height: float, *, dark: bool = False) -> None:
        self.width = width
        self.rows = dots(height)
        self._inks = _ON_BLACK if dark else {}
        size = (width / _MM_PER_INCH, self.rows / DPI)
        self.figure = Figure(figsize=size, dpi=DPI, facecolor="black" if dark else "white")
        self._layers: dict[bytes, Levels] = {}

    def text(self, left: float, top: float, block: Paragraph) -> None:
        """Place a paragraph with its upper left corner at (left, top)."""
        step = block.size * _LEADING * MM_PER_POINT
        for number, line in enumerate(block.lines):
            baseline = top + step * number + block.size * MM_PER_POINT
            for indent, run in line:
                self._write(left + indent, baseline, run, block.size)

    def image(
        self, left: float, top: float, pixels: Floats, frame: tuple[int, int], over: Floats | None = None
    ) -> Axes:
        """Place a raster dot by dot; the axes returned measure it in a `frame` of (rows, cols).

        Args:
            left: Millimetres from the page's left edge.
            top: Millimetres from its top.
            pixels: The raster, (rows, cols, 3).
            frame: What rows and columns count in the axes.
            over: A veil of the same size over it, (rows, cols, 4).
        """
        rows, cols = pixels.shape[:2]
        across, down = DPI * self.width / _MM_PER_INCH, self.rows
        box = (dots(left) / across, (down - dots(top) - rows) / down, cols / across, rows / down)
        axes = self.figure.add_axes(box)
        axes.set_axis_off()
        axes.set(xlim=(0, frame[1]), ylim=(frame[0], 0))
        layers = [self._layer(pixels)]
        flat = pixels
        if over is not None:
            layers.append(self._layer(over))
            flat = blend(pixels, over)
        axes.add_image(_Raster(axes, to_bytes(flat), layers))
        return axes

    def blank(self, left: float, top: float, width: float, height: float) -> Axes:
        """Empty axes of so many millimetres, which count millimetres from their lower left corner."""
        down = millimetres(self.rows)
        box = (left / self.width, 1.0 - (top + height) / down, width / self.width, height / down)
        axes = self.figure.add_axes(box)
        axes.set_axis_off()
        axes.set(xlim=(0, width), ylim=(0, height))
        return axes

    def _layer(self, pixels: Floats) -> Levels:
        """A raster as files take it, lowest row first with opacity; the same array for equal ones."""
        levels = to_bytes(pixels)[::-1]
        if levels.shape[2] == 3:
            levels = np.dstack([levels, np.full(levels.shape[:2], 255, np.uint8)])
        mark = hashlib.sha256(f"{levels.shape}".encode() + levels.tobytes()).digest()
        return self._layers.setdefault(mark, levels)

    def _write(self, left: float, baseline: float, run: Run, size: float) -> None:
        down = millimetres(self.rows)
        self.figure.text(
            left / self.width,
            1.0 - baseline / down,
            run.text,
            fontsize=size,
            fontfamily=families(),
            fontweight="bold" if run.bold else "normal",
            color=self._inks.get(run.colour, run.colour),
            parse_math=False,
        )


def trace(axes: Axes, edges: Doubles, *, dashed: bool = False, thin: bool = False) -> None:
    """Draw line ends (n, 2, 2) of (row, col) onto an image: white on a dark rim, to show on any ground."""
    segments = list(edges[..., ::-1])
    width = 0.35 if thin else 0.8
    rim = LineCollection(segments, colors="black", linewidths=2.0 * width, linestyles=["solid"])
    rim.set_capstyle("projecting")
    line = LineCollection(segments, colors="white", linewidths=width, linestyles=["solid"])
    line.set_capstyle("projecting")
    # The rim stays whole under dashes, and dashes end where they end.
    if dashed:
        line.set_linestyle([(0.0, (2.0, 2.5))])
        line.set_capstyle("butt")
    for one in (rim, line):
        axes.add_collection(one, autolim=False)


def dotted(axes: Axes, line: Doubles) -> None:
    """Draw a line (points, 2) of (row, col) onto an image as light dots on a dark rim."""
    for colour, weight in (("black", 1.3), (REFERENCE, 0.75)):
        (drawn,) = axes.plot(
            line[:, 1], line[:, 0], color=colour, linewidth=weight, scalex=False, scaley=False
        )
        # In units of the line's width: both dots have the same pitch.
        drawn.set_linestyle((0.0, (0.01, 1.6 / weight)))
        drawn.set_dash_capstyle("round")


def _ended(line: Sequence[tuple[float, Run]], size: float, width: float) -> list[tuple[float, Run]]:
    """The line with an ellipsis in place of what would not leave room for one."""
    mark = Run("…", colour=GREY)
    room = width - measure(mark, size)
    kept: list[tuple[float, Run]] = []
    end = 0.0
    for left, run in line:
        right = left + measure(run, size)
        if right <= room:
            kept.append((left, run))
            end = right
    return [*kept, (end, mark)]


def _broken(word: Run, size: float, width: float) -> list[Run]:
    """The word in pieces that each fit a line; most words are one piece."""
    if measure(word, size) <= width or len(word.text) < 2:
        return [word]
    half = len(word.text) // 2
    first = Run(word.text[:half], word.bold, word.colour)
    second = Run(word.text[half:], word.bold, word.colour)
    return [*_broken(first, size, width), *_broken(second, size, width)]


def _joined(line: Sequence[tuple[float, Run]]) -> tuple[tuple[float, Run], ...]:
    """Neighbours of one style as one run, so that the text can be selected and searched."""
    joined: list[tuple[float, Run]] = []
    for left, run in line:
        if not joined:
            joined.append((left, run))
            continue
        start, last = joined[-1]
        if (last.bold, last.colour) == (run.bold, run.colour):
            joined[-1] = (start, Run(last.text + run.text, run.bold, run.colour))
        else:
            joined.append((left, run))
    return tuple(joined)


@cache
def _drawable(letters: str) -> frozenset[int]:
    """The code points that the figure's fonts hold in both weights."""
    found: dict[str, frozenset[int]] = {}
    for weight in ("normal", "bold"):
        held: set[int] = set()
        for name in _with_rest(letters):
            held |= set(get_font(findfont(FontProperties(family=name, weight=weight))).get_charmap())
        found[weight] = frozenset(held)
    return found["normal"] & found["bold"]
