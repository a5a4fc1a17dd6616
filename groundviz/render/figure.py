"""Figures for papers: the image beside its maps, one row per method and one panel per part of the answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from string import ascii_lowercase
from typing import Literal, Protocol

import numpy as np

from groundviz.errors import TargetError, UnknownName
from groundviz.render import words
from groundviz.render.colour import Rule, Scale, scales
from groundviz.render.overlay import outlined
from groundviz.render.page import GREY, Page, Paragraph, Run, paragraph, printable
from groundviz.render.panels import LABEL, SMALL, Bar, Layout, Panel, Panels, panels_per_line
from groundviz.render.paper import PaperFigure, drawing
from groundviz.types import Heatmap, Record, Target

Width = Literal["single", "onehalf", "double"] | float

_WIDTHS = {"single": 89.0, "onehalf": 120.0, "double": 183.0}
_NARROWEST = 60.0
_MARGIN, _INDENT = 1.0, 15.0
_TITLE = 8.0
_LONG_LINE = 6


class _Block(Protocol):
    """A part of the figure that takes the page's width and knows its height in mm."""

    @property
    def height(self) -> float: ...

    def draw(self, page: Page, left: float, top: float) -> None: ...


def draw(
    record: Record,
    rows: Sequence[Sequence[Heatmap]],
    *,
    width: Width = "double",
    smooth: bool = False,
    scale: Rule = "clip",
) -> PaperFigure:
    """A figure of several maps of one record, of an exact width, ready for a journal.

    Args:
        record: Whose image, question and answer stand with the maps.
        rows: The maps of one method per row, in the same order of targets.
        width: "single" (89 mm), "onehalf" (120 mm), "double" (183 mm), or millimetres from 60.
        smooth: Interpolate values between cell centres instead of showing the model's cells.
        scale: How values become colours; see `groundviz.render.colour.scales`.

    Raises:
        TargetError: There is no map to draw.
        UnknownName: There is no such width.
    """
    across = _millimetres(width)
    if not rows or not all(rows):
        raise TargetError(
            "There is nothing to draw: no map was named. Name a method and a part of the answer."
        )
    rows = [_comparable(record, row) for row in rows]
    row_scales = [scales(row, scale) for row in rows]
    with drawing():
        blocks = list(_blocks(record, rows, row_scales, across - 2 * _MARGIN, smooth))
        page = Page(across, 2 * _MARGIN + sum(block.height for block in blocks))
        top = _MARGIN
        for block in blocks:
            block.draw(page, _MARGIN, top)
            top += block.height
    return PaperFigure(page.figure, words.caption(record, rows, row_scales))


def default_targets(record: Record, width: Width = "double") -> list[Target]:
    """The record's targets, and the words of a single one, as many as fill a line or, if short, two."""
    per_line = panels_per_line(_millimetres(width) - 2 * _MARGIN)
    panels = per_line if per_line >= _LONG_LINE else 2 * per_line
    pieces = words.pieces(record.answer, record.target) if len(record.targets) == 1 else []
    return [*record.targets, *pieces][: panels - 1]


@dataclass(frozen=True, slots=True)
class _Text:
    """Paragraphs side by side, each so many mm from the left."""

    columns: tuple[tuple[float, Paragraph], ...]
    after: float

    @property
    def height(self) -> float:
        return max(block.height for _, block in self.columns) + self.after

    def draw(self, page: Page, left: float, top: float) -> None:
        for indent, block in self.columns:
            page.text(left + indent, top, block)


def _comparable(record: Record, row: Sequence[Heatmap]) -> list[Heatmap]:
    """The maps of a row, per token where they are sums over different numbers of tokens."""
    counts = [len(heatmap.target.tokens) for heatmap in row]
    if len(set(counts)) == 1 or words.maps_of(record, row[0].method).reduce[0] == "mean":
        return list(row)
    return [
        replace(heatmap, values=heatmap.values / np.float32(count), unit=f"{heatmap.unit} per token")
        for heatmap, count in zip(row, counts, strict=True)
    ]


def _millimetres(width: Width) -> float:
    across = _WIDTHS.get(width, 0.0) if isinstance(width, str) else float(width)
    if not _NARROWEST <= across <= 1000.0:
        known = ", ".join(f"{name!r} ({size:.0f} mm)" for name, size in _WIDTHS.items())
        raise UnknownName(
            f"There is no figure width {width!r}. Give {known}, or {_NARROWEST:.0f} to 1000 mm."
        )
    return across


def _blocks(
    record: Record,
    rows: Sequence[Sequence[Heatmap]],
    row_scales: Sequence[Sequence[Scale | None]],
    width: float,
    smooth: bool,
) -> Iterator[_Block]:
    most = max(rows, key=len)
    yield from _heading(record, most, width)
    layout = Layout.of(record.study, width, 1 + len(most))
    for number, (row, its_scales) in enumerate(zip(rows, row_scales, strict=True)):
        letter = ascii_lowercase[number % 26] if len(rows) > 1 else ""
        yield _row_title(record, row[0], letter, width)
        panels = [None, *(Panel(*pair) for pair in zip(row, its_scales, strict=True))]
        for first in range(0, len(panels), layout.per_line):
            yield Panels(record, panels[first : first + layout.per_line], layout, smooth)
        known = [scale for scale in its_scales if scale is not None]
        if known:
            same = all(scale == known[0] for scale in known)
            yield Bar(known[0], same, width, outlined(row[0]))
    yield _footer(record, rows, width)


def _heading(record: Record, shown: Sequence[Heatmap], width: float) -> Iterator[_Text]:
    """Question and answer, with the parts of the answer that have a panel in bold."""
    sure = f"   probability {words.percent(record.answer.confidence)}".replace("y ", "y\N{NO-BREAK SPACE}")
    stretches = words.emphasis(record.answer, (one.target for one in shown))
    said = [*(Run(printable(text), bold=bold) for text, bold in stretches), Run(sure, colour=GREY)]
    asked = [Run(printable(record.prompt.question))]
    name = "Answer" if record.answer.source == "generated" else "Given"
    for label, runs, after in (("Question", asked, 0.4), (name, said, 1.6)):
        aside = paragraph([Run(label, colour=GREY)], _TITLE, _INDENT)
        yield _Text(((0.0, aside), (_INDENT, paragraph(runs, _TITLE, width - _INDENT))), after)


def _row_title(record: Record, first: Heatmap, letter: str, width: float) -> _Text:
    details = (words.claim(first), words.aggregation(words.maps_of(record, first.method), first))
    runs = [
        Run(f"{letter}  " if letter else "", bold=True),
        Run(f"{printable(words.method_name(first.method))}  ", bold=True),
        Run(" · ".join(detail for detail in details if detail), colour=GREY),
    ]
    return _Text(((0.0, paragraph(runs, LABEL, width)),), 0.4)


def _footer(record: Record, rows: Sequence[Sequence[Heatmap]], width: float) -> _Text:
    """How to read the colours, and what to beware of in the image."""
    notes = [f"{note.removesuffix('.')}." for note in record.study.notes]
    about = ["Image:", *notes] if notes else []
    text = " ".join([*words.legend(record.study, chain.from_iterable(rows)), *about])
    return _Text(((0.0, paragraph([Run(printable(text), colour=GREY)], SMALL, width, most_lines=8)),), 0.0)
