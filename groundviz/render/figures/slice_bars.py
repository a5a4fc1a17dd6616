"""Where along a stack a map lies: a bar for each slice, those that are drawn set off."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from groundviz.record.types import Doubles
from groundviz.render.base import captions
from groundviz.render.figures.canvas import GREY, INK, Page, Paragraph, Run, measure, paragraph, printable
from groundviz.render.figures.panels import SMALL

_HEIGHT, _MOST_WIDTH, _LINE, _AFTER = 8.0, 120.0, 0.5, 2.0
_WIDEST = 8.0
# Of a bar's place, what the bar takes.
_FILL = 0.84
_OTHERS = "#a8a8a8"


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceBars:
    """The share of a map on each slice of a stack.

    Attributes:
        shares: (slice,), summing to 1.
        numbers: What each slice is called, as a reader counts.
        drawn: Places of the slices whose maps are drawn.
        target: What the map is of, in words.
        width: Millimetres that it may take.
    """

    shares: Doubles
    numbers: Sequence[int]
    drawn: Collection[int]
    target: str
    width: float

    @property
    def height(self) -> float:
        """Millimetres down to where the next block begins."""
        ends, words = self._texts()
        return _HEIGHT + _LINE + ends[0].height + words.height + _AFTER

    def draw(self, page: Page, left: float, top: float) -> None:
        """Place the bars, the numbers of the first and the last slice, and what they tell."""
        each = min(min(self.width, _MOST_WIDTH) / len(self.shares), _WIDEST)
        across = each * len(self.shares)
        axes = page.blank(left, top, across, _HEIGHT)
        heights = _HEIGHT * self.shares / self.shares.max()
        for at, height in enumerate(heights):
            colour = INK if at in self.drawn else _OTHERS
            axes.bar((at + 0.5) * each, height, width=_FILL * each, color=colour, linewidth=0)
        axes.axhline(0.0, color=GREY, linewidth=0.8)
        (first, last), words = self._texts()
        under = top + _HEIGHT + _LINE
        page.text(left, under, first)
        page.text(left + across - last.width, under, last)
        page.text(left, under + first.height, words)

    def _texts(self) -> tuple[tuple[Paragraph, Paragraph], Paragraph]:
        """The numbers of the first and the last slice, and what the bars tell."""
        ends: list[Paragraph] = []
        for text in (f"slice {self.numbers[0]}", str(self.numbers[-1])):
            run = Run(text, colour=GREY)
            ends.append(paragraph([run], SMALL, measure(run, SMALL) + 1.0))
        most = int(self.shares.argmax())
        highest = f"highest {captions.percent(float(self.shares[most]))} on slice {self.numbers[most]}"
        dark = "dark: the slices that are drawn"
        runs = [
            Run(printable(f"Share of the map of {self.target} on each slice of the stack")),
            Run(f"; {highest}; {dark}", colour=GREY),
        ]
        return (ends[0], ends[1]), paragraph(runs, SMALL, self.width)
