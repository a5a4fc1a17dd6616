"""Figures for papers: the image beside its maps, one row per method and one panel per part of the answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, cycle, groupby, islice
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
from groundviz.tiles import which
from groundviz.types import Grid, Heatmap, Record, Target

Width = Literal["single", "onehalf", "double"] | float

_WIDTHS = {"single": 89.0, "onehalf": 120.0, "double": 183.0}
_NARROWEST = 60.0
_MARGIN, _INDENT = 1.0, 15.0
_TITLE = 8.0
_LONG_LINE = 6
_FOOTER_LINES = 8


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
        rows: The maps of one method on one grid per row, in the same order of targets. Rows of one
            method stand together and share a scale.
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
    groups = list(_groups(record, rows, scale))
    strips = list(chain.from_iterable(groups))
    with drawing():
        blocks = list(_blocks(record, groups, across - 2 * _MARGIN, smooth))
        page = Page(across, 2 * _MARGIN + sum(block.height for block in blocks))
        top = _MARGIN
        for block in blocks:
            block.draw(page, _MARGIN, top)
            top += block.height
    caption = words.caption(record, [strip.maps for strip in strips], [strip.scales for strip in strips])
    return PaperFigure(page.figure, caption)


def default_targets(record: Record, width: Width = "double") -> list[Target]:
    """The record's targets, and the words of a single one, as many as fill a line.

    Lines that are short are two, unless several images or tiles already make many.
    """
    per_line = panels_per_line(_millimetres(width) - 2 * _MARGIN)
    panels = per_line if per_line >= _LONG_LINE or len(record.prompt.grids) > 1 else 2 * per_line
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


@dataclass(frozen=True, slots=True)
class _Strip:
    """The maps of one method on one grid, and their scales."""

    maps: Sequence[Heatmap]
    scales: Sequence[Scale | None]

    @property
    def grid(self) -> Grid:
        return self.maps[0].grid

    def lines(self, record: Record, layout: Layout, smooth: bool) -> Iterator[Panels]:
        """The image and the maps, over as many lines as they need."""
        panels = [None, *(Panel(*pair) for pair in zip(self.maps, self.scales, strict=True))]
        for line in range(0, len(panels), layout.per_line):
            yield Panels(record, self.grid.image, panels[line : line + layout.per_line], layout, smooth)


def _groups(record: Record, rows: Sequence[Sequence[Heatmap]], rule: Rule) -> Iterator[list[_Strip]]:
    """The rows of each method, comparable with each other."""
    for _, group in groupby(rows, key=lambda row: row[0].method):
        comparable = _comparable(record, list(group))
        found = iter(scales(list(chain.from_iterable(comparable)), rule))
        yield [_Strip(row, list(islice(found, len(row)))) for row in comparable]


def _comparable(record: Record, rows: Sequence[Sequence[Heatmap]]) -> Sequence[Sequence[Heatmap]]:
    """The maps of a method, per token where they are sums over different numbers of tokens."""
    counts = {len(heatmap.target.tokens) for heatmap in chain.from_iterable(rows)}
    if len(counts) == 1 or words.maps_of(record, rows[0][0].method).reduce[0] == "mean":
        return rows
    return [[_per_token(heatmap) for heatmap in row] for row in rows]


def _per_token(heatmap: Heatmap) -> Heatmap:
    values = heatmap.values / np.float32(len(heatmap.target.tokens))
    return replace(heatmap, values=values, unit=f"{heatmap.unit} per token")


def _millimetres(width: Width) -> float:
    across = _WIDTHS.get(width, 0.0) if isinstance(width, str) else float(width)
    if not _NARROWEST <= across <= 1000.0:
        known = ", ".join(f"{name!r} ({size:.0f} mm)" for name, size in _WIDTHS.items())
        raise UnknownName(
            f"There is no figure width {width!r}. Give {known}, or {_NARROWEST:.0f} to 1000 mm."
        )
    return across


def _blocks(
    record: Record, groups: Sequence[Sequence[_Strip]], width: float, smooth: bool
) -> Iterator[_Block]:
    strips = list(chain.from_iterable(groups))
    most = max((strip.maps for strip in strips), key=len)
    yield from _heading(record, most, width)
    images = sorted({strip.grid.image for strip in strips})
    shown = [record.studies[image] for image in images]
    layouts = dict(zip(images, Layout.of_each(shown, width, 1 + len(most)), strict=True))
    letters = cycle(ascii_lowercase if len(strips) > 1 else [""])
    for group in groups:
        told = ""
        for strip in group:
            details = _details(record, strip.maps[0])
            name = words.titled(strip.maps[0], len(record.studies))
            yield _row_title(name, next(letters), "" if details == told else details, width)
            told = details
            yield from strip.lines(record, layouts[strip.grid.image], smooth)
        yield from _bar(group, width)
    yield _footer(record, [strip.maps for strip in strips], width)


def _bar(group: Sequence[_Strip], width: float) -> Iterator[Bar]:
    """The colour bar of a method, unless none of its maps holds any evidence."""
    known = [scale for strip in group for scale in strip.scales if scale is not None]
    if known:
        same = all(scale == known[0] for scale in known)
        yield Bar(known[0], same, width, any(outlined(strip.maps[0]) for strip in group))


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


def _details(record: Record, heatmap: Heatmap) -> str:
    details = (words.claim(heatmap), words.aggregation(words.maps_of(record, heatmap.method), heatmap))
    return " · ".join(filter(None, details))


def _row_title(name: str, letter: str, details: str, width: float) -> _Text:
    runs = [
        Run(f"{letter}  " if letter else "", bold=True),
        Run(f"{printable(name)}  ", bold=True),
        Run(details, colour=GREY),
    ]
    return _Text(((0.0, paragraph(runs, LABEL, width)),), 0.4)


def _footer(record: Record, rows: Sequence[Sequence[Heatmap]], width: float) -> _Text:
    """How to read the colours, and what to beware of in the images."""
    shown = list(chain.from_iterable(rows))
    about = [_notes(record, image) for image in sorted({heatmap.grid.image for heatmap in shown})]
    text = " ".join([*words.legend(record.studies, shown), *filter(None, about)])
    lines = _FOOTER_LINES * len(about)
    return _Text(
        ((0.0, paragraph([Run(printable(text), colour=GREY)], SMALL, width, most_lines=lines)),), 0.0
    )


def _notes(record: Record, image: int) -> str:
    notes = [f"{note.removesuffix('.')}." for note in record.studies[image].notes]
    return " ".join([f"{which(image, len(record.studies)).capitalize()}:", *notes]) if notes else ""
