"""The columns of a figure: what stands above the maps of one record, then its maps method by method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, cycle
from string import ascii_lowercase
from typing import Protocol, get_args

from groundviz.errors import OptionError, UnknownName
from groundviz.record import stacks
from groundviz.record.arguments import is_number
from groundviz.record.tiles import which
from groundviz.record.types import Grid, Heatmap, Record, Target
from groundviz.render.base import captions, checked, colour
from groundviz.render.base.colour import OPACITY, Rule, Scale
from groundviz.render.base.contours import Lines
from groundviz.render.figures import styles
from groundviz.render.figures.canvas import GREY, WARN, Page, Paragraph, Run, paragraph, printable
from groundviz.render.figures.panels import HIGHEST, LABEL, Bar, Layout, Panel, Panels
from groundviz.render.figures.slice_bars import SliceBars
from groundviz.render.figures.styles import Style

_TITLE, _INDENT = 8.0, 15.0
# What a reader is to beware of is not to be cut short.
_LINES, _BEWARE_LINES = 4, 20
_WHOLE = ("Evidence", "Beware")
# Of an answer that is being written; and more than any answer has.
_WRITTEN_LINES, _ALL_LINES = 6, 100_000


class Block(Protocol):
    """A part of the figure that takes the page's width and knows its height in mm."""

    @property
    def height(self) -> float:
        """Millimetres down to where the next block begins."""

    def draw(self, page: Page, left: float, top: float) -> None:
        """Place it with its upper left corner at (left, top) mm."""


@dataclass(frozen=True, slots=True)
class Part:
    """Maps of one record, to be drawn together.

    Attributes:
        record: Whose image, question and answer stand with the maps.
        rows: The maps of one method on one grid per row, in the same order of targets or of layers.
            Rows of one method stand together.
        name: What to call it where it stands beside others.
        contours: Closed lines to draw on each image, by its number; see `groundviz.render.base.contours`.
        unshown: Parts of the answer that would have a panel each, had the figure room.
    """

    record: Record
    rows: Sequence[Sequence[Heatmap]]
    name: str = ""
    contours: Lines = field(default_factory=dict)
    unshown: Sequence[Target] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How maps are shown.

    Attributes:
        style: "grid" for panels under the whole answer; "words" and "findings" for panels over their own
            sentence; "llava_rad" for words after LLaVA-Rad's figures.
        interpolated: Whether values are, between cell centres, instead of showing the model's cells.
        rule: How values become colours; see `groundviz.render.base.colour.scales`.
        colours: Which, as there; None for ours.
        opacity: As there.
        header: Whether question and answer stand above the maps.
        legend: Whether the lines on how to read the maps stand under them. What is to beware of in an image
            stays.
        bare: Whether the image stands before its maps, without any.
        highest: Millimetres that a panel may be high.
        dark: Whether the page is black, for a screen.

    Raises:
        UnknownName: There is no such style or rule, or there are no such colours.
        OptionError: The opacity is not above 0 to 1.
    """

    style: Style = "grid"
    interpolated: bool = False
    rule: Rule = "root"
    colours: str | None = None
    opacity: float = OPACITY
    header: bool = True
    legend: bool = True
    bare: bool = True
    highest: float = HIGHEST
    dark: bool = False

    @property
    def smooth(self) -> bool:
        """Whether values are interpolated, which one style cannot do without."""
        return self.interpolated or self.style == "llava_rad"

    def __post_init__(self) -> None:
        styles.known(self.style)
        colour.known(self.colours)
        if not isinstance(self.rule, str) or self.rule not in get_args(Rule):
            names = ", ".join(map(repr, get_args(Rule)))
            raise UnknownName(f"There is no scale {self.rule!r}: known are {names}. Name one of these.")
        if not (is_number(self.opacity) and 0.0 < self.opacity <= 1.0):
            raise OptionError(
                f"The opacity is {self.opacity!r}: expected a number above 0 to 1. Give for example 0.85."
            )


@dataclass(frozen=True, slots=True)
class Text:
    """Paragraphs side by side, each so many mm from the left."""

    columns: tuple[tuple[float, Paragraph], ...]
    after: float

    @property
    def height(self) -> float:
        """Millimetres down to where the next block begins."""
        return max(block.height for _, block in self.columns) + self.after

    def draw(self, page: Page, left: float, top: float) -> None:
        """Place it with its upper left corner at (left, top) mm."""
        for indent, block in self.columns:
            page.text(left + indent, top, block)


@dataclass(frozen=True, slots=True)
class Aligned:
    """Stacks of blocks side by side, `pitch` mm apart, their tops in line."""

    columns: Sequence[Sequence[Block]]
    pitch: float

    @property
    def height(self) -> float:
        """Millimetres down to where the next block begins."""
        return max(sum(block.height for block in column) for column in self.columns)

    def draw(self, page: Page, left: float, top: float) -> None:
        """Place it with its upper left corner at (left, top) mm."""
        for number, column in enumerate(self.columns):
            stack(column, page, left + number * self.pitch, top)


@dataclass(frozen=True, slots=True)
class Strip:
    """The maps of one method on one grid, and their scales."""

    maps: Sequence[Heatmap]
    scales: Sequence[Scale | None]

    @property
    def grid(self) -> Grid:
        """Where the cells of its maps sit."""
        return self.maps[0].grid


@dataclass(frozen=True, slots=True)
class Column:
    """One part with its scales: the strips of each method together.

    Attributes:
        part: What is drawn.
        groups: The strips of each method.
        look: How.
        letter: What tells it from the parts beside it.
        written: How many characters of the answer stand there, where it is shown being written; else None.
    """

    part: Part
    groups: Sequence[Sequence[Strip]]
    look: Look
    letter: str = ""
    written: int | None = None

    @property
    def record(self) -> Record:
        """What its maps are of."""
        return self.part.record

    @property
    def strips(self) -> list[Strip]:
        """The strips of all methods."""
        return list(chain.from_iterable(self.groups))

    def sections(self, width: float) -> Iterator[list[Block]]:
        """What stands above the maps, then each method."""
        most = max((strip.maps for strip in self.strips), key=len)
        yield list(self._heading(most, width))
        images = sorted({strip.grid.image for strip in self.strips})
        shown = [self.record.source_images[image] for image in images]
        count, narrowest = self.look.bare + len(most), styles.narrowest(self.look.style)
        found = Layout.of_each(shown, width, count, narrowest, self.look.highest)
        layouts = dict(zip(images, found, strict=True))
        # Beside other parts the letter is the part's.
        letters = cycle([""])
        if len(self.strips) > 1 and not self.letter:
            letters = cycle(ascii_lowercase)
        for number, group in enumerate(self.groups):
            blocks: list[Block] = list(self._method(group, layouts, letters, width))
            blocks += self._slice_bars(group, width)
            # One bar for one scale, under the last method that has it.
            if number + 1 == len(self.groups) or _scale_of(self.groups[number + 1]) != _scale_of(group):
                blocks += _bar(group, width)
            yield blocks

    def _method(
        self, group: Sequence[Strip], layouts: Mapping[int, Layout], letters: Iterator[str], width: float
    ) -> Iterator[Block]:
        """The rows of a method, each with its title."""
        before = ""
        for strip in group:
            details = self._details(strip)
            # What is the same as in the row above is not repeated.
            new = "" if details == before else details
            name = captions.titled(strip.maps[0], self.record.source_images)
            steps = captions.interrupted(strip.maps[0])
            yield _row_title(name, next(letters), new, steps, width)
            before = details
            yield from self._lines(strip, layouts[strip.grid.image])

    def _slice_bars(self, group: Sequence[Strip], width: float) -> Iterator[SliceBars]:
        """Where along each stack that is drawn a method's first map lies."""
        images = self.record.source_images
        first = group[0].maps[0]
        shown = {strip.grid.image for strip in group}
        for stack in stacks.grouped(images):
            found = None
            if stacks.is_stack(stack, images) and shown.intersection(stack):
                found = stacks.shares(
                    self.record, first.method, first.target, stack, layer=first.layer, head=first.head
                )
            if found is None:
                continue
            numbers: list[int] = []
            for image in stack:
                place = images[image].slice
                numbers.append(place.number + 1 if place else 0)
            drawn = [at for at, image in enumerate(stack) if image in shown]
            target = captions.quoted(first.target)
            yield SliceBars(shares=found, numbers=numbers, drawn=drawn, target=target, width=width)

    def _lines(self, strip: Strip, layout: Layout) -> Iterator[Panels]:
        """The image and the maps, over as many lines as they need."""
        image = strip.grid.image
        panels = list(styles.panels(self.record, strip.maps, strip.scales, self.look.style))
        if self.look.bare:
            panels.insert(0, self._bare(image))
        source_image, contours = self.record.source_images[image], self.part.contours.get(image, ())
        for line in range(0, len(panels), layout.per_line):
            some = panels[line : line + layout.per_line]
            yield Panels(source_image, some, layout, self.look.smooth, contours)

    def _bare(self, image: int) -> Panel:
        """The panel of an image without a map: what it is called, and where it lies."""
        one = self.record.source_images[image]
        name = which(image, self.record.source_images).capitalize()
        if one.slice is not None:
            # Of how many, and of which stack, stands over the row.
            name = f"Slice {one.slice.number + 1}"
        return Panel(None, None, name, stacks.position(one))

    def _heading(self, shown: Sequence[Heatmap], width: float) -> Iterator[Text]:
        """Name, question and answer, with the parts of the answer that have a panel in bold.

        What is not whole is told even where question and answer stand elsewhere.
        """
        names = dict.fromkeys(filter(None, (self.letter, self.part.name, self.record.label)))
        if names:
            title = [Run("  ".join(printable(name) for name in names), bold=True)]
            yield Text(((0.0, paragraph(title, _TITLE, width)),), 0.4)
        asked = [Run(printable(self.record.prompt.question))]
        name = "Answer" if self.record.answer.source == "generated" else "Given"
        methods = [strip.maps[0].method for strip in self.strips]
        rows: list[tuple[str, list[Run]]] = []
        if self.look.header:
            rows = [("Question", asked), (name, self._answer(shown)), ("Evidence", self._evidence(methods))]
        undone = " ".join(captions.beware(self.record, methods))
        if undone:
            rows.append(("Beware", [Run(printable(undone), colour=WARN)]))
        for label, runs in rows:
            warns = label == "Beware"
            aside = paragraph([Run(label, colour=WARN if warns else GREY)], _TITLE, _INDENT)
            most = _BEWARE_LINES if label in _WHOLE else _LINES
            beside = paragraph(runs, _TITLE, width - _INDENT, most_lines=most)
            if label == name and self.written is not None:
                beside = self._so_far(runs, width - _INDENT)
            after = 1.6 if label == rows[-1][0] else 0.4
            yield Text(((0.0, aside), (_INDENT, beside)), after)

    def _so_far(self, runs: Sequence[Run], width: float) -> Paragraph:
        """The answer up to where it is written, its last lines where it is long, at a height that stays."""
        # In bold, which is never narrower.
        whole = [Run(run.text, bold=True) for run in replace(self, written=None)._answer([])]
        most = min(_WRITTEN_LINES, len(paragraph(whole, _TITLE, width, most_lines=_ALL_LINES).lines))
        so_far = paragraph(runs, _TITLE, width, most_lines=_ALL_LINES).lines[-most:]
        return Paragraph((*so_far, *[()] * (most - len(so_far))), _TITLE)

    def _evidence(self, methods: Sequence[str]) -> list[Run]:
        """Whether the answer needs the image and the marked place, and a verdict that all maps share."""
        line = printable(checked.line(self.record, methods))
        verdicts = {checked.known(self.record, method).verdict for method in methods}
        # Verdicts that differ stand in the caption, which has room for them.
        if len(verdicts) == 1 and (verdict := verdicts.pop()):
            return [Run(f"{line}."), Run(printable(f" {verdict}"), colour=GREY)]
        return [Run(line)]

    def _answer(self, shown: Sequence[Heatmap]) -> list[Run]:
        """The answer with its parts in bold, what it lacks, and its probability."""
        answer = self.record.answer
        runs: list[Run] = []
        end = 0
        for text, bold in captions.emphasis(answer, (one.target for one in shown)):
            start, end = end, end + len(text)
            if self.written is not None and end > self.written:
                return [*runs, Run(printable(text[: self.written - start]), bold=bold)]
            runs.append(Run(printable(text), bold=bold))
        if captions.cut_off(answer):
            runs.append(Run(f" {captions.CUT}", colour=WARN))
        # The number stays on one line with its sign.
        percent = captions.percent(answer.confidence).replace(" ", "\N{NO-BREAK SPACE}")
        runs.append(Run(f"   probability\N{NO-BREAK SPACE}{percent}", colour=GREY))
        return runs

    def _details(self, strip: Strip) -> str:
        first = strip.maps[0]
        swept = captions.by_layer(strip.maps)
        maps = captions.maps_of(self.record, first.method)
        parts: list[str] = []
        if self.look.style == "llava_rad":
            parts.append("LLaVA-Rad style, a reconstruction")
        # Panels of layers bear no words of the answer.
        if swept:
            parts.append(f"for “{printable(first.target.text.strip())}”")
        parts.append(captions.claim(first))
        parts.append(captions.aggregation(maps, first, swept=swept))
        parts.append(captions.uncertainties(strip.maps))
        return " · ".join(filter(None, parts))


def stack(blocks: Sequence[Block], page: Page, left: float, top: float) -> None:
    """Place blocks under each other."""
    for block in blocks:
        block.draw(page, left, top)
        top += block.height


def _known(group: Sequence[Strip]) -> list[Scale]:
    """The scales of the maps of a method that hold any evidence."""
    return list(filter(None, chain.from_iterable(strip.scales for strip in group)))


def _scale_of(group: Sequence[Strip]) -> Scale | None:
    """The scale that a method's maps share, if any."""
    return next(iter(_known(group)), None)


def _bar(group: Sequence[Strip], width: float) -> Iterator[Bar]:
    """The colour bar of a method, unless none of its maps holds any evidence."""
    known = _known(group)
    if known:
        yield Bar(known[0], colour.ruled(known), all(scale == known[0] for scale in known), width)


def _row_title(name: str, letter: str, details: str, steps: str, width: float) -> Text:
    """A method's name behind its letter, then what is not whole of it, and what its maps show."""
    runs: list[Run] = []
    if letter:
        runs.append(Run(f"{letter}  ", bold=True))
    runs.append(Run(f"{printable(name)}  ", bold=True))
    if steps:
        runs.append(Run(f"interrupted: {steps}  ", bold=True, colour=WARN))
    runs.append(Run(details, colour=GREY))
    return Text(((0.0, paragraph(runs, LABEL, width)),), 0.4)
