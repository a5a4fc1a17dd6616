"""The answer being written, word by word, each with its map: a film for a talk.

Every frame has the same size and the same scale, with its bar, its unit, and the evidence for the answer.
"""

from __future__ import annotations

import base64
import io
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from groundviz.errors import OptionError, TargetError, UnknownName
from groundviz.record import files, selection
from groundviz.record.arguments import is_number
from groundviz.record.selection import Selection
from groundviz.record.targets import find
from groundviz.record.tiles import Tile
from groundviz.record.types import Heatmap, Record
from groundviz.render.base import captions, embedding
from groundviz.render.base.colour import OPACITY, Rule
from groundviz.render.base.contours import Contours, Lines, lines
from groundviz.render.base.options import options
from groundviz.render.figures.columns import Column, Look, Part, Strip
from groundviz.render.figures.figure import Width, caption_of, columns_of, millimetres, sheet
from groundviz.render.figures.file import dot_by_dot, drawing

# Of the 300 dots per inch that figures have.
_COARSER = 2
_MOST_WORDS = 300
_SHORTEST, _LONGEST = 0.1, 10.0
# The last frame stays for so much longer, in seconds.
_REST = 2.0
_FORMATS: dict[str, dict[str, Any]] = {
    "webp": {"quality": 90, "method": 4},
    "png": {},
    # Its 256 colours are chosen for each frame.
    "gif": {"optimize": False},
}


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Animation:
    """An answer being written, word by word, with the map of each over the image.

    Attributes:
        part: The record, with the maps of every word in the order of the words, a row for each grid.
        look: How they are shown.
        width: As in `groundviz.render.figures.figure.compose`.
        seconds: How long each word is shown.
    """

    part: Part
    look: Look
    width: Width
    seconds: float

    def __len__(self) -> int:
        """How many frames there are, one for each word."""
        return len(self.part.rows[0])

    def __repr__(self) -> str:
        return f"<Animation of {len(self)} words, {self.seconds:g} s each>"

    @property
    def caption(self) -> str:
        """What it shows, on which scale, and what made it."""
        return caption_of(columns_of([self.part], self.look), self.look)

    def frames(self) -> list[Image.Image]:
        """Every frame, RGB, all of one size.

        Cost:
            About 0.2 s and 2.5 MB for each word, at 183 mm.
        """
        across = millimetres(self.width)
        (whole,) = columns_of([self.part], self.look)
        drawn: list[Image.Image] = []
        for number in range(len(self)):
            with drawing():
                page = sheet([_only(whole, number)], across, self.look, legend_of=whole)
                drawn.append(dot_by_dot(page.figure).reduce(_COARSER))
        # A map of which more is to be told than of the others takes a line more.
        size = drawn[0].width, max(image.height for image in drawn)
        return [_padded(image, size) for image in drawn]

    def to_bytes(self, format: str = "webp") -> bytes:
        """All frames as "webp", "png" or "gif"; equal animations give equal bytes.

        A GIF has 256 colours in each frame: its maps are near to their scale, those of the others on it.

        Raises:
            UnknownName: There is no such format.

        Cost:
            That of `frames`, and about 0.1 s for each word.
        """
        if format not in _FORMATS:
            known = ", ".join(_FORMATS)
            raise UnknownName(f"There is no animation format called {format!r}: known are {known}. Name one.")
        first, *others = self.frames()
        each = round(1000 * self.seconds)
        durations = [each] * len(others) + [each + round(1000 * _REST)]
        stream = io.BytesIO()
        first.save(
            stream,
            format,
            save_all=True,
            append_images=others,
            duration=durations,
            loop=0,
            **_FORMATS[format],
        )
        return stream.getvalue()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it in the format its suffix names: .webp, .png or .gif.

        Raises:
            UnknownName: There is no animation format of that suffix.
            StoreError: The file cannot be written there.
        """
        return files.write(path, self.to_bytes(Path(path).suffix.lower().removeprefix(".")))

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """What a notebook keeps, with as much of the image as `groundviz.options` lets it."""
        kept = {"text/plain": repr(self)}
        if options.embed != "none":
            shown = replace(self, part=replace(self.part, record=embedding.embedded(self.part.record)))
            kept["image/webp"] = base64.b64encode(shown.to_bytes()).decode()
        return kept


class InMotion:
    """What an explanation inherits: its answer being written.

    Attributes:
        record: What holds the maps.
    """

    __slots__ = ()

    record: Record

    def animation(
        self,
        method: str | None = None,
        *,
        seconds: float = 0.9,
        width: Width = "double",
        image: int | None = None,
        tile: Tile | None = None,
        layer: int | None = None,
        head: int | None = None,
        smooth: bool = False,
        contours: Contours | None = None,
        scale: Rule = "root",
        colours: str | None = None,
        opacity: float = OPACITY,
    ) -> Animation:
        """The answer being written, word by word, each with its map on one scale: `.save("answer.webp")`.

        Args:
            method: One of `methods`; None for the first.
            seconds: How long each word is shown, 0.1 to 10.
            width: As in `figure`; 183 mm are 1,080 pixels.
            image: As in `figure`, and so is all that follows; but a layer is one, and so is the scale.
            tile: Which tile.
            layer: One layer, or None to combine all.
            head: One head, or None to combine all.
            smooth: Whether to interpolate.
            contours: What is known from elsewhere.
            scale: "root", "linear" or "log".
            colours: Which colours.
            opacity: How much of the image is covered.

        Raises:
            UnknownName: As in `figure`.
            OptionError: The seconds or the opacity are out of range, or each map would have its own scale.
            TargetError: The method measured no single words, or not that layer or head.
            ImageError: The contours do not fit the image.
        """
        name = selection.methods(self.record)[:1] if method is None else [method]
        chosen = Selection(methods=name, image=image, tile=tile, layer=layer, head=head)
        known = lines(contours, self.record.source_images, image)
        look = Look(interpolated=smooth, rule=scale, colours=colours, opacity=opacity)
        return animated(self.record, chosen, look, width=width, seconds=seconds, contours=known)


def animated(
    record: Record,
    chosen: Selection,
    look: Look,
    *,
    width: Width,
    seconds: float,
    contours: Lines | None = None,
) -> Animation:
    """The words of a record's answer with their maps by one method.

    Args:
        record: What holds the maps.
        chosen: Which method, image, tile, layer and head.
        look: How they are shown.
        width: As in `groundviz.render.figures.figure.compose`.
        seconds: How long each word is shown, 0.1 to 10.
        contours: As in `groundviz.render.figures.columns.Part`.

    Raises:
        OptionError: The seconds are none of these, or each map would have a layer or a scale of its own.
        TargetError: The method measured no single words, there are too many, or no such layer or head.
        UnknownName: There is no such method, image, tile or width.
    """
    if not (is_number(seconds) and _SHORTEST <= seconds <= _LONGEST):
        raise OptionError(
            f"Each word is shown for {seconds!r} seconds: expected {_SHORTEST} to {_LONGEST:g}. "
            "Give for example 0.9."
        )
    if "each" in (chosen.layer, look.rule):
        raise OptionError(
            "An animation shows one layer, or all of them combined, on one scale: 'each' was given. "
            "figure(layer='each') shows layers side by side."
        )
    millimetres(width)
    rows = _rows(record, chosen)
    if not rows or not rows[0]:
        raise TargetError(
            "There is nothing to play: the method measured no single words of the answer. Name one that did, "
            "such as 'attention'."
        )
    if len(rows[0]) > _MOST_WORDS:
        raise TargetError(
            f"An animation of {len(rows[0]):,} words cannot be made: at most {_MOST_WORDS} fit. "
            "view() plays the words of any answer."
        )
    return Animation(Part(record, rows, "", contours or {}), look, width, float(seconds))


def _rows(record: Record, chosen: Selection) -> list[list[Heatmap]]:
    """The maps of every word, grid by grid."""
    words = captions.in_order(record.answer)
    if not words:
        return []
    # The slices of a stack are those that hold most of the whole answer's map, not of the first word's.
    whole = find(record.answer)
    rows: list[list[Heatmap]] = []
    for row in chosen.rows(record, [whole, *words], named=False):
        measured = bool(row) and row[0].target.scalar == whole.scalar
        rows.append(row[1:] if measured else row)
    return rows


def _only(column: Column, number: int) -> Column:
    """A column with the maps of one word, the answer written up to it."""
    groups: list[list[Strip]] = []
    for group in column.groups:
        one = slice(number, number + 1)
        groups.append([Strip(strip.maps[one], strip.scales[one]) for strip in group])
    answer, maps = column.record.answer, column.strips[0].maps
    written = len(answer.text)
    if number + 1 < len(maps):
        written = int(answer.offsets[maps[number].target.tokens[-1], 1])
    return replace(column, groups=groups, written=written)


def _padded(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The image at the top of one of a size, on white."""
    if image.size == size:
        return image
    whole = Image.new("RGB", size, "white")
    whole.paste(image)
    return whole
