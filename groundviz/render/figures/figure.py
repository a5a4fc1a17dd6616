"""Figures for papers: images beside their maps, one row per method and one panel per part of the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, cycle, groupby, islice, zip_longest
from string import ascii_lowercase
from typing import Literal

import numpy as np

from groundviz.errors import TargetError, UnknownName
from groundviz.record.arguments import is_number
from groundviz.record.evidence import SAYS_NOTHING
from groundviz.record.selection import Selection, target
from groundviz.record.targets import Named
from groundviz.record.tiles import briefly
from groundviz.record.types import Heatmap, Record, Target
from groundviz.render.base import captions, embedding
from groundviz.render.base.colour import Scale, scales, too_small
from groundviz.render.base.contours import Lines
from groundviz.render.base.escape import visible
from groundviz.render.base.notes import notes_on
from groundviz.render.figures import legend, styles
from groundviz.render.figures.canvas import GREY, Page, Run, dots, paragraph, printable
from groundviz.render.figures.columns import Aligned, Block, Column, Look, Part, Strip, Text, stack
from groundviz.render.figures.file import PaperFigure, drawing
from groundviz.render.figures.panels import SMALL
from groundviz.render.figures.styles import Style

Width = Literal["single", "onehalf", "double"] | float

_WIDTHS = {"single": 89.0, "onehalf": 120.0, "double": 183.0}
_NARROWEST = 60.0
_MARGIN = 1.0
_BETWEEN, _NARROWEST_COLUMN = 5.0, 55.0
_FOOTER_LINES = 10
# More panels than this nobody reads, and each takes a megabyte; more dots than this fit no file.
_MOST_PANELS, _MOST_DOTS, _MOST_DOTS_LONG = 300, 64_000_000, 60_000


def compose(parts: Sequence[Part], look: Look | None = None, *, width: Width = "double") -> PaperFigure:
    """A figure of one or more parts, side by side where there is room, under each other where not.

    Letters are those of matplotlib's `rcParams["font.family"]`, where the first font of it is installed.

    Args:
        parts: What to draw. Maps of one unit share a scale where one model made them.
        look: How; None for the look that it has unasked.
        width: "single" (89 mm), "onehalf" (120 mm), "double" (183 mm), or millimetres from 60.

    Raises:
        TargetError: There is no map to draw, there are too many, or the style cannot show one.
        UnknownName: There is no such width.
    """
    look = look or Look()
    across = millimetres(width)
    if not parts or not all(part.rows and all(part.rows) for part in parts):
        raise TargetError(
            "There is nothing to draw: no map was named. Name a method and a part of the answer."
        )
    rows = list(chain.from_iterable(part.rows for part in parts))
    refuse_many(sum(map(len, rows)))
    columns = columns_of(parts, look)
    with drawing():
        page = sheet(columns, across, look)

    # Drawn when a notebook keeps it, for most figures never are.
    def kept() -> PaperFigure:
        shown: list[Part] = []
        for part in parts:
            shown.append(replace(part, record=embedding.embedded(part.record)))
        return compose(shown, look, width=width)

    return PaperFigure(page.figure, caption_of(columns, look), kept)


def sheet(columns: Sequence[Column], across: float, look: Look, *, legend_of: Column | None = None) -> Page:
    """The page of some columns, drawn; under `drawing()`.

    Args:
        columns: What stands on it.
        across: Its width in mm.
        look: How maps are shown.
        legend_of: What the lines on how to read the maps are about; None for the columns.

    Raises:
        TargetError: No image file could hold it.
    """
    room = across - 2 * _MARGIN
    blocks = [*_bands(columns, room), *_footer([legend_of] if legend_of else columns, room, look)]
    down = 2 * _MARGIN + sum(block.height for block in blocks)
    _refuse_long(across, down)
    page = Page(across, down, dark=look.dark)
    stack(blocks, page, _MARGIN, _MARGIN)
    return page


def part_of(
    record: Record,
    targets: Named | list[Named] | None,
    chosen: Selection,
    style: Style,
    width: Width,
    *,
    contours: Lines | None = None,
    name: str = "",
    parts: int = 1,
) -> Part:
    """What a figure shows of a record, which may be one of several parts of it.

    Args:
        record: What holds the maps.
        targets: One part of the answer, or several; None for what the style shows unasked.
        chosen: Which methods, images, tiles, layers and heads.
        style: As in `compose`.
        width: As in `compose`.
        contours: As in `Part`.
        name: As in `Part`.
        parts: How many parts the figure has.

    Raises:
        TargetError: There is no such target, layer or head, or there is too much to draw.
        UnknownName: There is no such method, image or tile.
    """
    unshown: list[Target] = []
    if targets is not None:
        named = targets if isinstance(targets, list) else [targets]
        goals = [target(record, one) for one in named]
    elif chosen.layer == "each" and style == "grid":
        goals = [record.target]
    else:
        goals = default_targets(record, width, style=style, parts=parts)
        unshown = styles.choices(record, style)[len(goals) :]
    refuse_many(len(goals))
    rows = chosen.rows(record, goals, named=targets is not None)
    return Part(record, rows, name, contours or {}, unshown)


def refuse_many(maps: int) -> None:
    """Make sure that a figure of so many maps can be drawn.

    Raises:
        TargetError: It cannot.
    """
    if maps > _MOST_PANELS:
        raise TargetError(
            f"A figure of {maps:,} maps cannot be drawn: at most {_MOST_PANELS} fit. Name some parts of the "
            "answer, methods, or a layer; to_html() and view() show the rest."
        )


def _refuse_long(across: float, down: float) -> None:
    """Refuse a page that no image file can hold, before it is drawn."""
    rows, cols = dots(down), dots(across)
    if rows > _MOST_DOTS_LONG or rows * cols > _MOST_DOTS:
        raise TargetError(
            f"The figure would be {down:,.0f} mm high at {across:,.0f} mm width, which is too much for a "
            "image file. Name fewer parts of the answer or methods, or choose a smaller width."
        )


def millimetres(width: Width) -> float:
    """The width of a page in mm.

    Raises:
        UnknownName: There is no such width.
    """
    if isinstance(width, str):
        across = _WIDTHS.get(width, 0.0)
    else:
        across = float(width) if is_number(width) else 0.0
    if not _NARROWEST <= across <= 1000.0:
        known = ", ".join(f"{name!r} ({size:.0f} mm)" for name, size in _WIDTHS.items())
        raise UnknownName(
            f"There is no figure width {width!r}. Give {known}, or {_NARROWEST:.0f} to 1000 mm."
        )
    return across


def default_targets(
    record: Record, width: Width = "double", *, style: Style = "grid", parts: int = 1
) -> list[Target]:
    """What a figure of so many parts shows of a record unasked; see `groundviz.render.figures.styles`."""
    styles.known(style)
    room = millimetres(width) - 2 * _MARGIN
    width_each, _ = _column_width(room, parts)
    return styles.default_targets(record, width_each, style, one_line=parts > 1)


def columns_of(parts: Sequence[Part], look: Look) -> list[Column]:
    """The parts with their scales: those of one model share them.

    Raises:
        TargetError: The style cannot show one of the maps.
    """
    rows = [_comparable(part, look) for part in parts]
    known: dict[str, list[tuple[Heatmap, str, str]]] = {}
    for part, its_rows, letter in zip(parts, rows, _letters(len(parts)), strict=False):
        called = f"({letter})" if letter else part.name
        its_maps = known.setdefault(part.record.provenance.weights, [])
        for heatmap in chain.from_iterable(its_rows):
            its_maps.append((heatmap, called, briefly(heatmap.grid.image, part.record.source_images)))
    # By identity, for the same map may stand in two parts.
    found: dict[int, Scale | None] = {}
    for named in known.values():
        maps, whose, on = zip(*named, strict=True)
        its_scales = scales(maps, look.rule, colours=look.colours, opacity=look.opacity, whose=whose, on=on)
        for heatmap, scale in zip(maps, its_scales, strict=True):
            found[id(heatmap)] = scale
    columns: list[Column] = []
    for part, its_rows, letter in zip(parts, rows, _letters(len(parts)), strict=False):
        columns.append(Column(part, list(_groups(its_rows, found)), look, letter))
    return columns


def _letters(parts: int) -> Iterator[str]:
    """A letter for each part where there are several, and no more than letters."""
    if 1 < parts <= len(ascii_lowercase):
        return iter(ascii_lowercase)
    return cycle([""])


def _groups(rows: Sequence[Sequence[Heatmap]], found: Mapping[int, Scale | None]) -> Iterator[list[Strip]]:
    """The rows of each method with their scales."""
    for _, group in groupby(rows, key=lambda row: row[0].method):
        strips: list[Strip] = []
        for row in group:
            strips.append(Strip(row, [found[id(heatmap)] for heatmap in row]))
        yield strips


def _comparable(part: Part, look: Look) -> list[list[Heatmap]]:
    """The maps as they are shown: per token where a method adds up different numbers of tokens."""
    shown: list[list[Heatmap]] = []
    for method, group in groupby(part.rows, key=lambda row: row[0].method):
        rows: list[list[Heatmap]] = []
        for row in group:
            rows.append([styles.prepared(part.record, one, look.style) for one in row])
        counts = {len(heatmap.target.tokens) for heatmap in chain.from_iterable(rows)}
        summed = captions.maps_of(part.record, method).reduce[0] == "sum"
        if summed and len(counts) > 1:
            rows = [list(map(_per_token, row)) for row in rows]
        shown += rows
    return shown


def _per_token(heatmap: Heatmap) -> Heatmap:
    count = np.float32(len(heatmap.target.tokens))
    error = heatmap.standard_error
    if error is not None:
        error = error / count
    unit = f"{heatmap.unit} per token"
    return replace(heatmap, values=heatmap.values / count, standard_error=error, unit=unit)


def _column_width(room: float, parts: int) -> tuple[float, int]:
    """How wide columns are on so many mm, and how many stand side by side."""
    most = int((room + _BETWEEN) / (_NARROWEST_COLUMN + _BETWEEN))
    beside = max(1, min(parts, most))
    # Four are two by two rather than three and one.
    beside = -(-parts // -(-parts // beside))
    return (room + _BETWEEN) / beside - _BETWEEN, beside


def _bands(columns: Sequence[Column], room: float) -> Iterator[Block]:
    """The columns side by side, section by section, in as many bands as they need."""
    width, beside = _column_width(room, len(columns))
    every = iter(columns)
    while band := list(islice(every, beside)):
        for stacks in zip_longest(*(column.sections(width) for column in band), fillvalue=()):
            yield Aligned(list(map(list, stacks)), width + _BETWEEN)


def _footer(columns: Sequence[Column], width: float, look: Look) -> Iterator[Text]:
    """How to read the colours, and what to beware of in the images, which is told in any case."""
    # Each sentence once, in the order in which it first came.
    sentences: dict[str, None] = {}
    about: list[str] = []
    for column in columns:
        if look.legend:
            sentences |= dict.fromkeys(_legend(column, look))
        about += _notes(column)
    if look.legend and look.style == "llava_rad":
        sentences[styles.SINKS] = None
    # What the row of evidence over the maps does not say.
    if look.legend and look.header:
        sentences[SAYS_NOTHING] = None
    text = " ".join([*sentences, *about])
    if not text:
        return
    lines = _FOOTER_LINES * max(1, len(about))
    runs = [Run(printable(text), colour=GREY)]
    yield Text(((0.0, paragraph(runs, SMALL, width, most_lines=lines)),), 0.0)


def _legend(column: Column, look: Look) -> list[str]:
    """How to read the colours of one column, sentence by sentence."""
    maps = [strip.maps for strip in column.strips]
    shown = list(chain.from_iterable(maps))
    # Neither layers nor contrasts have percentages beside them.
    bare = all(map(captions.by_layer, maps)) or all(heatmap.target.foil for heatmap in shown)
    sentences = [*legend.unshown(column.part.unshown)]
    sentences += captions.legend(
        column.record.source_images,
        shown,
        percentages="" if bare else _percentages(look),
        smooth=look.smooth,
        contours=any(column.part.contours.values()),
        opacity=look.opacity,
    )
    for scale in chain.from_iterable(strip.scales for strip in column.strips):
        if scale is not None and scale.negligible:
            small = too_small(scale.unit, scale.top)
            sentences.append(f"{small[:1].upper()}{small[1:]}.")
    return sentences


def _percentages(look: Look) -> str:
    return styles.MASSES if look.style == "llava_rad" else captions.PERCENTAGES


def _notes(column: Column) -> Iterator[str]:
    """What to beware of in each image that is drawn."""
    images = sorted({strip.grid.image for strip in column.strips})
    for name, told in notes_on(column.record.source_images, images):
        name = f"{column.letter}, {name}" if column.letter else name[:1].upper() + name[1:]
        yield " ".join([f"{name}:", *(f"{note.removesuffix('.')}." for note in told)])


def caption_of(columns: Sequence[Column], look: Look) -> str:
    """What stands under a figure of some columns."""
    notes: list[str] = []
    if look.style == "llava_rad":
        notes += [styles.RECONSTRUCTION, styles.MASSES]
    if look.smooth:
        notes.append(captions.SMOOTH)
    if any(any(column.part.contours.values()) for column in columns):
        notes.append(captions.REFERENCE)
    parts: list[tuple[str, list[str], str]] = []
    for column in columns:
        maps: list[Sequence[Heatmap]] = []
        its_scales: list[Sequence[Scale | None]] = []
        for strip in column.strips:
            maps.append(strip.maps)
            its_scales.append(strip.scales)
        further = legend.unshown(column.part.unshown)
        # A single part is called nothing, and its caption has another form.
        if len(columns) == 1:
            return legend.single(column.record, maps, its_scales, [*further, *notes])
        letter = f"({column.letter})" if column.letter else ""
        called = f"{column.part.name}:" if column.part.name else ""
        name = " ".join(filter(None, (letter, called)))
        sentences = [*legend.shown(column.record, maps, its_scales), *further]
        origin = visible(captions.made_with(column.record.provenance))
        parts.append((visible(name), sentences, origin))
    return legend.several(parts, notes)
