"""The blocks of a figure that carry maps: lines of panels, and the colour bar under them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes

from groundviz.render import overlay, words
from groundviz.render.colour import Scale, paint
from groundviz.render.page import (
    GREY,
    MM_PER_POINT,
    Page,
    Paragraph,
    Run,
    dots,
    fitted,
    measure,
    millimetres,
    paragraph,
    printable,
    trace,
)
from groundviz.tiles import which
from groundviz.types import Floats, Heatmap, Record, Study

LABEL, SMALL = 7.0, 6.0

_GAP = 1.5
_NARROWEST, _HIGHEST = 24.0, 80.0
_LABEL_HEIGHT, _RANGE_HEIGHT = 3.4, 3.0
_BAR_WIDTH, _BAR_HEIGHT = 26.0, 1.8


def panels_per_line(width: float) -> int:
    """How many panels fit beside each other on `width` mm and can still be read."""
    return int((width + _GAP) / (_NARROWEST + _GAP))


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
    def of(cls, study: Study, width: float, count: int) -> Layout:
        """The layout of `count` panels of a study on a page `width` mm wide, lines evenly filled."""
        per_line = math.ceil(count / math.ceil(count / panels_per_line(width)))
        row_mm, col_mm = study.spacing_mm or (1.0, 1.0)
        aspect = study.shape[0] * row_mm / (study.shape[1] * col_mm)
        panel = (width + _GAP) / per_line - _GAP
        height = min(panel * aspect, _HIGHEST)
        shape = (max(8, dots(height)), max(8, int(height / aspect / millimetres(1))))
        room = max(millimetres(shape[1]), _NARROWEST)
        return cls(shape, room, room + _GAP, per_line)

    @classmethod
    def of_each(cls, studies: Sequence[Study], width: float, count: int) -> list[Layout]:
        """Layouts for panels of different studies one under the other, in columns."""
        layouts = [cls.of(study, width, count) for study in studies]
        pitch = max(layout.pitch for layout in layouts)
        return [replace(layout, pitch=pitch) for layout in layouts]


@dataclass(frozen=True, slots=True)
class Panel:
    """A map and its scale; no scale when the map holds no evidence."""

    heatmap: Heatmap
    scale: Scale | None


@dataclass(frozen=True, slots=True)
class Panels:
    """One line of panels of one image; None stands for the bare image."""

    record: Record
    image: int
    panels: Sequence[Panel | None]
    layout: Layout
    smooth: bool

    @property
    def height(self) -> float:
        """Millimetres down to where the next block begins."""
        return _LABEL_HEIGHT + millimetres(self.layout.shape[0]) + self._own_ranges + _GAP

    @property
    def _own_ranges(self) -> float:
        """Room in mm for the range of each map, where each has its own scale."""
        each = any(panel is not None and panel.scale and panel.scale.over == "each" for panel in self.panels)
        return _RANGE_HEIGHT if each else 0.0

    def draw(self, page: Page, left: float, top: float) -> None:
        """Place the panels and their labels."""
        for panel in self.panels:
            if panel is None:
                name = which(self.image, len(self.record.studies)).capitalize()
                page.text(left, top, paragraph([Run(name, colour=GREY)], LABEL, self.layout.room))
            else:
                self._label(page, left, top, panel)
            self._picture(page, left, top + _LABEL_HEIGHT, panel)
            left += self.layout.pitch

    def _label(self, page: Page, left: float, top: float, panel: Panel) -> None:
        """The part of the answer at the left, its probability at the right."""
        target, answer = panel.heatmap.target, self.record.answer
        sure = "" if target.rival else words.percent(words.probability(answer, target))
        aside = Run(sure, colour=GREY)
        indent = self.layout.room - measure(aside, SMALL)
        name = fitted(Run(printable(words.part(answer, target))), LABEL, indent - 1.0)
        page.text(left, top, Paragraph((((0.0, name),),), LABEL))
        page.text(left, top + (LABEL - SMALL) * MM_PER_POINT, Paragraph((((indent, aside),),), SMALL))

    def _picture(self, page: Page, left: float, top: float, panel: Panel | None) -> None:
        study, shape = self.record.studies[self.image], self.layout.shape
        if panel is None:
            page.picture(left, top, overlay.resample(study.pixels, shape), study.shape)
            return
        pixels = overlay.picture(study, shape, panel.heatmap, panel.scale, smooth=self.smooth)
        axes = page.picture(left, top, pixels, study.shape)
        if panel.scale is None:
            _say_no_evidence(axes)
            return
        for edges, negative in overlay.outlines(panel.heatmap, panel.scale):
            trace(axes, edges, dashed=negative)
        if panel.scale.over == "each":
            foot = top + millimetres(shape[0]) + 0.3
            page.text(left, foot, paragraph([Run(" to ".join(panel.scale.ends))], SMALL, self.layout.room))


@dataclass(frozen=True, slots=True)
class Bar:
    """A colour bar at full opacity between its two ends, with the unit and the rule beside it."""

    scale: Scale
    same: bool
    width: float
    outlined: bool = True

    @property
    def height(self) -> float:
        """Millimetres down to where the next block begins."""
        _, drop, text = self._words()
        return drop + text.height + 1.5

    def draw(self, page: Page, left: float, top: float) -> None:
        """Place the bar, its ends and its words."""
        low, high = (Run(end) for end in self._ends)
        at = left + measure(low, SMALL) + 1.0
        page.text(left, top, Paragraph((((0.0, low),),), SMALL))
        axes = page.picture(at, top + 0.35, colours(self.scale, dots(_BAR_HEIGHT), dots(_BAR_WIDTH)), (1, 1))
        for mark in _marks(self.scale) if self.outlined else ():
            trace(axes, np.array([[[0.0, mark], [1.0, mark]]]))
        page.text(at + _BAR_WIDTH + 1.0, top, Paragraph((((0.0, high),),), SMALL))
        indent, drop, text = self._words()
        page.text(left + indent, top + drop, text)

    @property
    def _ends(self) -> tuple[str, str]:
        return self.scale.ends if self.same else ("lowest", "highest")

    def _words(self) -> tuple[float, float, Paragraph]:
        """Unit and rule, with their place: beside the bar, or under it where there is no room."""
        runs = [Run(printable(self.scale.unit)), Run(f"; {self.scale.rule}", colour=GREY)]
        indent = sum(measure(Run(end), SMALL) for end in self._ends) + _BAR_WIDTH + 4.0
        if self.width - indent < _BAR_WIDTH:
            return 0.0, _RANGE_HEIGHT, paragraph(runs, SMALL, self.width)
        return indent, 0.0, paragraph(runs, SMALL, self.width - indent)


def colours(scale: Scale, rows: int, cols: int) -> Floats:
    """The scale's whole range from left to right, float32 (rows, cols, 3)."""
    position = np.broadcast_to(np.linspace(0.0, 1.0, cols, dtype=np.float32), (rows, cols))
    return paint(position, signed=scale.signed)


def _marks(scale: Scale) -> list[float]:
    """Where on the bar the outline is drawn."""
    half = overlay.OUTLINE / 2.0
    return [0.5 - half, 0.5 + half] if scale.signed else [overlay.OUTLINE]


def _say_no_evidence(axes: Axes) -> None:
    axes.text(
        0.5,
        0.5,
        words.NO_EVIDENCE,
        transform=axes.transAxes,
        ha="center",
        va="center",
        fontsize=LABEL,
        color="white",
        bbox={"facecolor": "black", "edgecolor": "white", "linewidth": 0.5, "pad": 3.0},
    )
