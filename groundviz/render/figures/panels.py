"""The blocks of a figure that carry maps: lines of panels, and the colour bar under them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes

from groundviz.record.types import Doubles, Heatmap, SourceImage
from groundviz.render.base import captions, overlay
from groundviz.render.base.colour import Scale, bar
from groundviz.render.figures.canvas import (
    GREY,
    INK,
    MM_PER_POINT,
    WARN,
    Page,
    Paragraph,
    Run,
    dots,
    dotted,
    families,
    fitted,
    measure,
    millimetres,
    paragraph,
    printable,
    trace,
)

LABEL, SMALL = 7.0, 6.0

_GAP = 1.5
# What a label, and what a sentence, needs to be read.
NARROW, ROOMY = 24.0, 34.0
HIGHEST = 80.0
_LABEL_HEIGHT, _RANGE_HEIGHT = 3.4, 3.0
_BAR_WIDTH, _BAR_HEIGHT, _BAR_LINES = 34.0, 1.8, 8
_AGAINST, _FOR = Run("against", colour=GREY), Run("for", colour=GREY)
_SENTENCE_GAP, _WITH_CONTEXT, _MOST_LINES = 0.6, 4, 8
# Millimetres that letters take, set small, in a text of narrow ones.
_NARROW_LETTER = 0.8


def panels_per_line(width: float, narrowest: float = NARROW) -> int:
    """How many panels of at least `narrowest` mm fit beside each other on `width` mm."""
    return max(1, int((width + _GAP) / (narrowest + _GAP)))


@dataclass(frozen=True, slots=True)
class Layout:
    """How panels share a line.

    Attributes:
        shape: Rows and columns of one panel, in dots.
        room: Millimetres that a panel and what is written above it may take.
        pitch: Millimetres from one panel's left edge to the next.
        per_line: Panels on one line.
    """

    shape: tuple[int, int]
    room: float
    pitch: float
    per_line: int

    @classmethod
    def of(
        cls,
        source_image: SourceImage,
        width: float,
        count: int,
        narrowest: float = NARROW,
        highest: float = HIGHEST,
    ) -> Layout:
        """The layout of `count` panels of an image on a page `width` mm wide, lines evenly filled.

        No panel is higher than `highest` mm.
        """
        per_line = math.ceil(count / math.ceil(count / panels_per_line(width, narrowest)))
        row_mm, col_mm = source_image.spacing_mm or (1.0, 1.0)
        aspect = source_image.shape[0] * row_mm / (source_image.shape[1] * col_mm)
        panel = (width + _GAP) / per_line - _GAP
        height = min(panel * aspect, highest)
        shape = (max(8, dots(height)), max(8, int(height / aspect / millimetres(1))))
        room = max(millimetres(shape[1]), NARROW)
        return cls(shape, room, room + _GAP, per_line)

    @classmethod
    def of_each(
        cls,
        source_images: Sequence[SourceImage],
        width: float,
        count: int,
        narrowest: float = NARROW,
        highest: float = HIGHEST,
    ) -> list[Layout]:
        """Layouts for panels of different images one under the other, in columns."""
        layouts = [cls.of(one, width, count, narrowest, highest) for one in source_images]
        pitch = max(layout.pitch for layout in layouts)
        return [replace(layout, pitch=pitch) for layout in layouts]


@dataclass(frozen=True, slots=True)
class Panel:
    """A map with what stands around it.

    Attributes:
        heatmap: The map; None for the bare image.
        scale: How its values become colours; None when it holds no evidence.
        name: What stands above it, at the left.
        aside: What stands above it, at the right.
        sentence: What stands under it.
    """

    heatmap: Heatmap | None
    scale: Scale | None
    name: str
    aside: str = ""
    sentence: Sentence | None = None


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence with one part of it in bold.

    Attributes:
        before: What stands before the part.
        part: The part, in stretches, each with whether it is bold.
        after: What stands behind it.
    """

    before: str
    part: tuple[tuple[str, bool], ...]
    after: str

    def set(self, width: float) -> Paragraph:
        """The sentence in a few short lines; what is too far from the part gives way to an ellipsis."""
        before, after = _split(self.before), _split(self.after)
        whole = len(before), len(after)
        # What is too far away to fit in any case goes at once: to set thousands of words takes minutes.
        room = int(_WITH_CONTEXT * width / _NARROW_LETTER)
        before = before[len(before) - _fitting(before[::-1], room) :]
        after = after[: _fitting(after, room)]
        part = self._part()
        # Then word by word, from the side that has more of them.
        while True:
            start = "… " if len(before) < whole[0] else ""
            end = " …" if len(after) < whole[1] else ""
            runs = [Run(start + " ".join(before)), *part, Run(" ".join(after) + end)]
            block = paragraph(runs, SMALL, width, most_lines=_MOST_LINES)
            if len(block.lines) <= _WITH_CONTEXT or not (before or after):
                return block
            if after and len(" ".join(after)) >= len(" ".join(before)):
                after = after[:-1]
            else:
                before = before[1:]

    def _part(self) -> list[Run]:
        """The part itself, in bold where anything stands around it."""
        bold = bool(self.before.strip() or self.after.strip())
        runs = [Run(printable(text), bold=bold and marked) for text, marked in self.part]
        if not self.before:
            runs[0] = Run(runs[0].text.lstrip(), runs[0].bold)
        return runs


def _split(text: str) -> list[str]:
    """The words of a text; none of an empty one."""
    return printable(text).split(" ") if text else []


@dataclass(frozen=True, slots=True)
class Panels:
    """One line of panels of one image, with the contours that are drawn on each."""

    source_image: SourceImage
    panels: Sequence[Panel]
    layout: Layout
    smooth: bool
    contours: Sequence[Doubles] = ()

    @property
    def height(self) -> float:
        """Millimetres down to where the next block begins."""
        under = 0.0
        for sentence in self._sentences:
            if sentence is not None:
                under = max(under, sentence.height + _SENTENCE_GAP)
        return _LABEL_HEIGHT + millimetres(self.layout.shape[0]) + self._own_ranges + under + _GAP

    @property
    def _sentences(self) -> list[Paragraph | None]:
        texts: list[Paragraph | None] = []
        for panel in self.panels:
            texts.append(panel.sentence.set(self.layout.room) if panel.sentence else None)
        return texts

    @property
    def _own_ranges(self) -> float:
        """Room in mm for the range of each map, where each has its own scale."""
        for panel in self.panels:
            if panel.scale is not None and panel.scale.over == "each":
                return _RANGE_HEIGHT
        return 0.0

    def draw(self, page: Page, left: float, top: float) -> None:
        """Place the panels and their labels."""
        foot = top + _LABEL_HEIGHT + millimetres(self.layout.shape[0])
        for panel, sentence in zip(self.panels, self._sentences, strict=True):
            self._label(page, left, top, panel)
            self._image(page, left, top + _LABEL_HEIGHT, panel)
            if panel.scale is not None and panel.scale.over == "each":
                ends = [Run(" to ".join(panel.scale.ends))]
                page.text(left, foot + 0.3, paragraph(ends, SMALL, self.layout.room))
            if sentence is not None:
                page.text(left, foot + self._own_ranges + _SENTENCE_GAP, sentence)
            left += self.layout.pitch

    @property
    def _label_size(self) -> float:
        """Points of the names on the line: small where one would be cut short."""
        for panel in self.panels:
            if measure(_name(panel), LABEL) > self._name_room(panel):
                return SMALL
        return LABEL

    def _name_room(self, panel: Panel) -> float:
        """Millimetres that are left for a panel's name."""
        return self.layout.room - measure(_aside(panel), SMALL) - 1.0

    def _label(self, page: Page, left: float, top: float, panel: Panel) -> None:
        """The panel's name at the left, what is known of it at the right."""
        aside, size = _aside(panel), self._label_size
        indent = self.layout.room - measure(aside, SMALL)
        name = fitted(_name(panel), size, self._name_room(panel))
        page.text(left, top + (LABEL - size) * MM_PER_POINT, Paragraph((((0.0, name),),), size))
        page.text(left, top + (LABEL - SMALL) * MM_PER_POINT, Paragraph((((indent, aside),),), SMALL))

    def _image(self, page: Page, left: float, top: float, panel: Panel) -> None:
        source_image, shape = self.source_image, self.layout.shape
        heatmap, scale = panel.heatmap, panel.scale
        over = None
        # The bare image, and a map without evidence, have no colours over them.
        if heatmap is not None and scale is not None:
            over = overlay.veil(source_image.shape, shape, heatmap, scale, smooth=self.smooth)
        axes = page.image(left, top, overlay.resample(source_image.pixels, shape), source_image.shape, over)
        if heatmap is not None and scale is not None:
            follow = source_image.shape if self.smooth else None
            for outline in overlay.outlines(heatmap, scale, smooth_on=follow):
                trace(axes, outline.edges, dashed=outline.negative, thin=outline.thin)
        for line in self.contours:
            dotted(axes, line)
        if panel.heatmap is not None:
            _say_how_little(axes, panel.heatmap, panel.scale)


@dataclass(frozen=True, slots=True)
class Bar:
    """A colour bar as it looks over mid-grey, values under it; beside it the unit, the rule and the highest.

    Attributes:
        scale: What it shows.
        rule: How values become colours, in words that hold for all of the maps.
        same: Whether all maps have this scale; where each has its own, the ends are named alone.
        width: Millimetres that bar and words may take.
    """

    scale: Scale
    rule: str
    same: bool
    width: float

    @property
    def height(self) -> float:
        """Millimetres down to where the next block begins."""
        _, drop, text = self._words()
        return max(drop + text.height, _BAR_HEIGHT + _RANGE_HEIGHT) + 1.5

    def draw(self, page: Page, left: float, top: float) -> None:
        """Place the bar, its values and its words."""
        start, _ = self._sides()
        if self.scale.signed:
            page.text(left, top, paragraph([_AGAINST], SMALL, self.width))
            page.text(left + start + _BAR_WIDTH + 1.0, top, paragraph([_FOR], SMALL, self.width))
        axes = page.image(
            left + start, top + 0.35, bar(self.scale, dots(_BAR_HEIGHT), dots(_BAR_WIDTH)), (1, 1)
        )
        for position, _ in self._ticks():
            if 0.0 < position < 1.0:
                trace(axes, np.array([[[0.0, position], [1.0, position]]]), thin=True)
        for middle, text in self._labels():
            at = left + start + middle - measure(Run(text), SMALL) / 2.0
            page.text(at, top + _BAR_HEIGHT + 0.5, Paragraph((((0.0, Run(text)),),), SMALL))
        indent, drop, words = self._words()
        page.text(left + indent, top + drop, words)

    def _ticks(self) -> tuple[tuple[float, str], ...]:
        """Positions 0 to 1 along the bar and their values, the ends first."""
        if self.same:
            return self.scale.ticks
        lowest = "lowest" if self.scale.signed else "0"
        return (0.0, lowest), (1.0, "highest")

    def _labels(self) -> list[tuple[float, str]]:
        """Values along the bar: millimetres to the middle of each, as many as stand apart."""
        kept: list[tuple[float, str]] = []
        for position, text in self._ticks():
            middle, half = position * _BAR_WIDTH, measure(Run(text), SMALL) / 2.0 + 0.6
            near = [abs(middle - other) < half + measure(Run(name), SMALL) / 2.0 for other, name in kept]
            # The ends come first; what lies between gives way.
            if not any(near):
                kept.append((middle, text))
        return kept

    def _sides(self) -> tuple[float, float]:
        """Millimetres that the bar's labels take at its left and at its right."""
        first, last = (measure(Run(text), SMALL) / 2.0 for _, text in self._labels()[:2])
        if self.scale.signed:
            return max(first, measure(_AGAINST, SMALL) + 1.0), max(last, measure(_FOR, SMALL) + 1.0)
        return first, last

    def _words(self) -> tuple[float, float, Paragraph]:
        """Unit and rule, with their place: beside the bar, or under it where there is no room."""
        rule = f"; {self.rule}"
        if self.same:
            rule += f"; {printable(self.scale.summit)}"
        runs = [Run(printable(self.scale.unit)), Run(rule, colour=GREY)]
        before, behind = self._sides()
        indent = before + _BAR_WIDTH + behind + 2.0
        if self.width - indent < _BAR_WIDTH:
            drop = _BAR_HEIGHT + _RANGE_HEIGHT + 0.3
            return 0.0, drop, paragraph(runs, SMALL, self.width, most_lines=_BAR_LINES)
        return indent, 0.0, paragraph(runs, SMALL, self.width - indent, most_lines=_BAR_LINES)


def _name(panel: Panel) -> Run:
    return Run(printable(panel.name), colour=GREY if panel.heatmap is None else INK)


def _aside(panel: Panel) -> Run:
    return Run(panel.aside, colour=GREY)


def _fitting(texts: Sequence[str], room: int) -> int:
    """How many of the first words have no more letters and spaces than there is room for."""
    for count, text in enumerate(texts):
        room -= len(text) + 1
        if room < 0:
            return count
    return len(texts)


def _say_how_little(axes: Axes, heatmap: Heatmap, scale: Scale | None) -> None:
    """Tell a reader what a map is short of: steps, evidence, or strength beside the others on its scale."""
    steps = captions.interrupted(heatmap)
    # At the foot, away from the side marker, and on the image itself, which gets cut out and passed on.
    if steps:
        _say(axes, steps, 0.07, SMALL, edge=WARN)
    if scale is None:
        _say(axes, captions.NO_EVIDENCE, 0.5, LABEL)
        return
    # What all maps stay under is told on each, however faint: on one alone it would be a judgement of that.
    little = scale.under if scale.negligible else ""
    if not little and overlay.is_faint(heatmap, scale):
        share = scale.largest(heatmap.values) / scale.top
        little = f"≤ {max(1, math.ceil(100 * share))}% of the highest"
    if little:
        _say(axes, little, 0.21 if steps else 0.07, SMALL)


def _say(axes: Axes, text: str, height: float, size: float, *, edge: str = "white") -> None:
    axes.text(
        0.5,
        height,
        text,
        transform=axes.transAxes,
        ha="center",
        va="center",
        fontsize=size,
        fontfamily=families(),
        color="white",
        bbox={"facecolor": "black", "edgecolor": edge, "linewidth": 0.5, "pad": 0.35 * size},
    )
