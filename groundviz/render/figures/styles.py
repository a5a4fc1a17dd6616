"""What stands around each panel of a figure, and which maps a figure of some style shows unasked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from groundviz.errors import TargetError, UnknownName
from groundviz.record.targets import find, findings, sentences
from groundviz.record.types import Heatmap, Record, Target
from groundviz.render.base import captions
from groundviz.render.base.colour import Scale
from groundviz.render.figures.panels import NARROW, ROOMY, Panel, Sentence, panels_per_line

Style = Literal["grid", "words", "findings", "llava_rad"]

RECONSTRUCTION = (
    "LLaVA-Rad style, a reconstruction: the paper states neither layers nor formula. Attention, combined as "
    "stated, is averaged over the pieces of a word, divided by what goes to the image, and interpolated."
)
MASSES = "Percentages: the share of the word's attention that goes to the image, which each map divides up."
SINKS = "Cells that draw attention whatever is asked (sinks) can stand out in any of these maps."

_LONG_LINE = 6
_SHARES = "share of attention"
# Words that name nothing to look at; "no" and "not" do.
_SMALL_WORDS = frozenset(
    "a an and are as at be by for from in is it of on or that the there this to was with".split()
)


def known(style: str) -> None:
    """Make sure that there is such a style.

    Raises:
        UnknownName: There is none.
    """
    if style not in get_args(Style):
        names = ", ".join(map(repr, get_args(Style)))
        raise UnknownName(f"There is no figure style {style!r}: known are {names}. Name one of these.")


def narrowest(style: Style) -> float:
    """How narrow a panel of a style may be, in mm."""
    return NARROW if style == "grid" else ROOMY


def default_targets(
    record: Record, width: float, style: Style = "grid", *, one_line: bool = False
) -> list[Target]:
    """What a figure shows unasked on a line of `width` mm, the bare image aside.

    In a grid the record's targets, and beside a single one its words that name something, as many as
    fill a line, or two short ones unless several images or tiles already make many. Beside a contrast
    stands its target alone. As words, these alone, on at most two lines. As findings, all.

    Args:
        record: What is shown.
        width: Of a line, in mm.
        style: How it is shown.
        one_line: Whether short lines, too, are one.
    """
    if style == "findings":
        return findings(record.answer)
    per_line = panels_per_line(width, narrowest(style))
    alone = [_alone(record, target) for target in record.targets]
    if style != "grid":
        named = [word for target in alone for word in _naming(record, target)]
        return list({word.tokens: word for word in named}.values())[: 2 * per_line - 1] or alone
    one_line = one_line or per_line >= _LONG_LINE or len(record.prompt.grids) > 1
    panels = max(2, per_line if one_line else 2 * per_line)
    pieces = captions.pieces(record.answer, record.target) if len(record.targets) == 1 else []
    pieces = [word for word in pieces if _names_something(word)] or pieces
    contrasted = [one for one, target in zip(alone, record.targets, strict=True) if target.foil]
    return [*record.targets, *pieces, *contrasted][: panels - 1]


def prepared(record: Record, heatmap: Heatmap, style: Style) -> Heatmap:
    """The map as the style shows it.

    Raises:
        TargetError: The style shows shares of attention, and the map is of something else.
    """
    if style != "llava_rad":
        return heatmap
    if heatmap.unit != _SHARES:
        raise TargetError(
            f"The style 'llava_rad' shows shares of attention: {heatmap.method} measures {heatmap.unit}. "
            "Name methods='attention', or use style='words'."
        )
    mass = np.float32(_mass(record, heatmap))
    return replace(heatmap, values=heatmap.values / (mass or np.float32(1)), unit=f"{_SHARES} to the image")


def panels(
    record: Record, maps: Sequence[Heatmap], scales: Sequence[Scale | None], style: Style
) -> Iterator[Panel]:
    """The panels of a row of maps, with their words."""
    layered = captions.by_layer(maps)
    for number, (heatmap, scale) in enumerate(zip(maps, scales, strict=True), start=1):
        if layered:
            yield Panel(heatmap, scale, captions.layer_name(heatmap))
            continue
        target = heatmap.target
        name = str(number) if style == "findings" else captions.part(record.answer, target)
        sentence = _sentence(record, target) if style != "grid" else None
        yield Panel(heatmap, scale, name, _aside(record, heatmap, style), sentence)


def _aside(record: Record, heatmap: Heatmap, style: Style) -> str:
    if style == "llava_rad":
        return f"{captions.percent(_raw_mass(record, heatmap))} to image"
    target = heatmap.target
    unsure = target.foil or target.in_question
    return "" if unsure else captions.percent(captions.probability(record.answer, target))


def _raw_mass(record: Record, heatmap: Heatmap) -> float:
    """The share of attention that goes to any image, whatever was done to this map since."""
    maps = captions.maps_of(record, heatmap.method)
    return _mass(record, maps.at(heatmap.target, layer=heatmap.layer, head=heatmap.head))


def _mass(record: Record, heatmap: Heatmap) -> float:
    """The sum of a target's map over all images and tiles."""
    alike = [maps for maps in record.heatmaps if maps.method == heatmap.method]
    each = (maps.at(heatmap.target, layer=heatmap.layer, head=heatmap.head) for maps in alike)
    return float(sum(np.nansum(one.values, dtype=np.float64) for one in each))


def _alone(record: Record, target: Target) -> Target:
    """A target without its foil."""
    return find(record.answer, (target.tokens[0], target.tokens[-1] + 1)) if target.foil else target


def _naming(record: Record, target: Target) -> list[Target]:
    """The words of a target that name something."""
    pieces = captions.pieces(record.answer, target)
    whole = [target] if not pieces or not re.search(r"\W", target.text.strip()) else pieces
    return [word for word in whole if _names_something(word)]


def _names_something(word: Target) -> bool:
    return word.text.strip().lower() not in _SMALL_WORDS


def _sentence(record: Record, target: Target) -> Sentence | None:
    """The sentence that holds a target, or the sentences where it is in several, the target set off."""
    answer = record.answer
    stretches = captions.emphasis(answer, [target])
    marked = [number for number, (text, bold) in enumerate(stretches) if bold and text.strip()]
    if not marked:
        return None
    around = [one for one in sentences(answer) if set(one.tokens) & set(target.tokens)] or [target]
    first, last = int(answer.offsets[around[0].tokens[0], 0]), int(answer.offsets[around[-1].tokens[-1], 1])
    before = "".join(text for text, _ in stretches[: marked[0]])
    after = "".join(text for text, _ in stretches[marked[-1] + 1 :])
    end = len(answer.text) - len(after)
    return Sentence(
        before[first:].lstrip(),
        tuple(stretches[marked[0] : marked[-1] + 1]),
        after[: max(0, last - end)].rstrip(),
    )
