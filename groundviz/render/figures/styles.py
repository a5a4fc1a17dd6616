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
# Words that name nothing in an image; "no" and "not" do.
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
    """What a figure shows unasked on a line of `width` mm, the bare image aside: the first of `choices`.

    In a grid as many as fill a line, or two short ones unless several images or tiles already make many.
    As words, on at most two lines. As findings, all.

    Args:
        record: What is shown.
        width: Of a line, in mm.
        style: How it is shown.
        one_line: Whether short lines, too, are one.
    """
    found = choices(record, style)
    if style == "findings":
        return found
    per_line = panels_per_line(width, narrowest(style))
    if style != "grid":
        return found[: 2 * per_line - 1]
    # One panel is the bare image's.
    one_line = one_line or per_line >= _LONG_LINE or len(record.prompt.grids) > 1
    panels = max(2, per_line if one_line else 2 * per_line)
    return found[: panels - 1]


def choices(record: Record, style: Style) -> list[Target]:
    """What a figure would show unasked, had it room for all, in the order in which it is shown.

    In a grid the record's targets, and beside a single one its words that name something; beside a contrast
    its target alone. As words, these alone.
    """
    if style == "findings":
        return findings(record.answer)
    if style != "grid":
        return _named_words(record)
    if len(record.targets) > 1:
        pieces: list[Target] = []
    else:
        pieces = captions.pieces(record.answer, record.target)
    # Where no word names anything, all of them.
    pieces = list(filter(_names_something, pieces)) or pieces
    shown = [*record.targets, *pieces]
    for target in record.targets:
        if target.foil:
            shown.append(_alone(record, target))
    return shown


def _named_words(record: Record) -> list[Target]:
    """The words of the targets that name something, each once; the targets where there is none."""
    words: dict[tuple[int, ...], Target] = {}
    alone = [_alone(record, target) for target in record.targets]
    for target in alone:
        for word in _naming(record, target):
            words[word.tokens] = word
    return list(words.values()) or alone


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
    # Nothing divided up among no cells stays nothing.
    mass = np.float32(_mass(record, heatmap)) or np.float32(1)
    return replace(heatmap, values=heatmap.values / mass, unit=f"{_SHARES} to the image")


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
        # Findings are whole sentences, which stand under their maps.
        name = str(number) if style == "findings" else captions.part(record.answer, target)
        sentence = None
        if style != "grid":
            sentence = _sentence(record, target)
        yield Panel(heatmap, scale, name, _aside(record, heatmap, style), sentence)


def _aside(record: Record, heatmap: Heatmap, style: Style) -> str:
    if style == "llava_rad":
        return f"{captions.percent(_raw_mass(record, heatmap))} to image"
    target = heatmap.target
    # A contrast has no probability of its own, nor has the question.
    if target.foil or target.in_question:
        return ""
    return captions.percent(captions.probability(record.answer, target))


def _raw_mass(record: Record, heatmap: Heatmap) -> float:
    """The share of attention that goes to any image, whatever was done to this map since."""
    maps = captions.maps_of(record, heatmap.method)
    return _mass(record, maps.at(heatmap.target, layer=heatmap.layer, head=heatmap.head))


def _mass(record: Record, heatmap: Heatmap) -> float:
    """The sum of a target's map over all images and tiles."""
    total = 0.0
    for maps in record.heatmaps:
        if maps.method == heatmap.method:
            one = maps.at(heatmap.target, layer=heatmap.layer, head=heatmap.head)
            total += float(np.nansum(one.values, dtype=np.float64))
    return total


def _alone(record: Record, target: Target) -> Target:
    """A target without its foil."""
    if not target.foil:
        return target
    return find(record.answer, (target.tokens[0], target.tokens[-1] + 1))


def _naming(record: Record, target: Target) -> list[Target]:
    """The words of a target that name something."""
    words = captions.pieces(record.answer, target)
    # The tokens of a single word are no words.
    if not words or not re.search(r"\W", target.text.strip()):
        words = [target]
    return list(filter(_names_something, words))


def _names_something(word: Target) -> bool:
    return word.text.strip().lower() not in _SMALL_WORDS


def _sentence(record: Record, target: Target) -> Sentence | None:
    """The sentence that holds a target, or the sentences where it is in several, the target set off."""
    answer = record.answer
    stretches = captions.emphasis(answer, [target])
    marked = [number for number, (text, bold) in enumerate(stretches) if bold and text.strip()]
    if not marked:
        return None
    before = "".join(text for text, _ in stretches[: marked[0]])
    after = "".join(text for text, _ in stretches[marked[-1] + 1 :])
    own = set(target.tokens)
    around = [one for one in sentences(answer) if own & set(one.tokens)] or [target]
    first = int(answer.offsets[around[0].tokens[0], 0])
    last = int(answer.offsets[around[-1].tokens[-1], 1])
    # As much of what stands behind as the last sentence holds.
    rest = max(0, last - (len(answer.text) - len(after)))
    part = tuple(stretches[marked[0] : marked[-1] + 1])
    return Sentence(before[first:].lstrip(), part, after[:rest].rstrip())
