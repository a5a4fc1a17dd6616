"""Captions of figures: what is shown, on which scale, how far it may be trusted, and what made it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, groupby

from groundviz.record.stacks import grouped
from groundviz.record.tiles import place, which
from groundviz.record.types import Heatmap, Record, SourceImage, Target
from groundviz.render.base import captions, checked
from groundviz.render.base.colour import Scale, ruled
from groundviz.render.base.escape import visible

# Parts that have no panel, beyond which they are counted.
_MOST_NAMED = 6


def single(
    record: Record,
    rows: Sequence[Sequence[Heatmap]],
    scales: Sequence[Sequence[Scale | None]],
    notes: Sequence[str] = (),
) -> str:
    """A caption for a figure of these maps: what is shown, on which scale, made by what.

    Args:
        record: What they are of.
        rows: The maps, row by row.
        scales: Their scales.
        notes: What else a reader must know, in sentences.
    """
    origin = visible(captions.made_with(record.provenance))
    return " ".join([*shown(record, rows, scales), *notes, origin])


def several(parts: Sequence[tuple[str, Sequence[str], str]], notes: Sequence[str] = ()) -> str:
    """A caption for a figure of several parts. What holds for all of them stands there once.

    Args:
        parts: What each is called, its sentences as `shown` returns them, and what made it.
        notes: What else a reader must know, in sentences.
    """
    origins = {origin for _, _, origin in parts}
    # The first sentence of each part is its own: it opens with the question.
    common: list[str] = []
    for sentence in parts[0][1][1:]:
        if all(sentence in sentences for _, sentences, _ in parts):
            common.append(sentence)
    each: list[str] = []
    for name, sentences, origin in parts:
        each += [name, *(one for one in sentences if one not in common)]
        if len(origins) > 1:
            each.append(origin)
    ending = list(origins) if len(origins) == 1 else []
    return " ".join([*each, *common, *notes, *ending])


def shown(
    record: Record, rows: Sequence[Sequence[Heatmap]], scales: Sequence[Sequence[Scale | None]]
) -> list[str]:
    """What is shown of a record and on which scale, sentence by sentence; `visible` to the reader."""
    firsts = [row[0] for row in rows]
    several = len({one.grid.image for one in firsts}) > 1
    left = "the image of each row" if several else "the image"
    sentences = [f"{_asked(record, firsts)} First, {left}; then {_panels(rows)}."]
    if record.label:
        sentences.append(f"Labelled “{record.label}”.")
    sentences += captions.before(record.prompt)
    sentences += captions.incomplete(record, {one.method for one in firsts})
    sentences += _sizes(record.source_images)
    sentences += _method_sentences(record, rows, scales)
    sentences += captions.cautions(firsts)
    sentences += captions.undrawn(record, firsts)
    sentences += _left_out(record, rows)
    if captions.of_attention(firsts):
        sentences.append(captions.NOT_WHY)
    sentences += checked.sentences(record, [one.method for one in firsts])
    return list(map(visible, sentences))


def _asked(record: Record, firsts: Sequence[Heatmap]) -> str:
    """The question and the answer, behind what the maps show."""
    if all(captions.claim(heatmap) for heatmap in firsts):
        asked = "Where the model looked when asked"
    elif len(record.source_images) > 1:
        asked = "Maps of the images when the model was asked"
    else:
        asked = "Maps of the image when the model was asked"
    answered = "was given the answer"
    if record.answer.source == "generated":
        answered = "answered"
    text = f"{asked} “{record.prompt.question}” and it {answered} “{record.answer.text}”"
    cut = captions.cut_off(record.answer)
    if cut:
        text += f" {captions.CUT}, {cut}"
    return f"{text}."


def _panels(rows: Sequence[Sequence[Heatmap]]) -> str:
    """What the maps are of, from left to right."""
    targets: dict[object, str] = {}
    for heatmap in chain.from_iterable(rows):
        targets[heatmap.target.scalar] = captions.quoted(heatmap.target)
    maps = "map" if max(map(len, rows)) == 1 else "maps"
    text = f"the {maps} for {', '.join(targets.values())}"
    if any(map(captions.by_layer, rows)):
        text += ", layer by layer"
    return text


def _left_out(record: Record, rows: Sequence[Sequence[Heatmap]]) -> Iterator[str]:
    """How many of the parts that were asked for are drawn, where it is not all of them."""
    shown = {heatmap.target.scalar for heatmap in chain.from_iterable(rows)}
    drawn = sum(target.scalar in shown for target in record.targets)
    if 0 < drawn < len(record.targets):
        yield f"Of {len(record.targets):,} parts that were asked for, {drawn:,} are drawn."


def unshown(targets: Sequence[Target]) -> Iterator[str]:
    """That parts of the answer have no panel, for want of room: which, where these are few."""
    if targets:
        named = (
            ", ".join(map(captions.quoted, targets)) if len(targets) <= _MOST_NAMED else f"{len(targets):,}"
        )
        yield f"Further parts of the answer without a panel: {visible(named)}."


def _sizes(source_images: Sequence[SourceImage]) -> Iterator[str]:
    """Which image is which, where there are several; of a stack how many slices were asked about."""
    if len(source_images) == 1:
        return
    sizes: list[str] = []
    for stack in grouped(source_images):
        rows, cols = source_images[stack[0]].shape
        name = which(stack[0], source_images)
        if len(stack) > 1:
            name = f"{len(stack)} slices, {name} to {which(stack[-1], source_images)}"
        sizes.append(f"{name}, {rows} by {cols} pixels")
    named = "; ".join(sizes)
    yield f"{named[:1].upper()}{named[1:]}."


def _method_sentences(
    record: Record, rows: Sequence[Sequence[Heatmap]], scales: Sequence[Sequence[Scale | None]]
) -> Iterator[str]:
    """What is shown of each method, row by row, on which scale."""
    for method, group in groupby(zip(rows, scales, strict=True), key=lambda pair: pair[0][0].method):
        its_rows, its_scales = zip(*group, strict=True)
        firsts = [row[0] for row in its_rows]
        yield _method_sentence(record, method, firsts, its_rows, its_scales)


def _method_sentence(
    record: Record,
    method: str,
    firsts: Sequence[Heatmap],
    rows: Sequence[Sequence[Heatmap]],
    scales: Sequence[Sequence[Scale | None]],
) -> str:
    """The unit, what is combined, the rows, the error and the scale of one method."""
    maps = captions.maps_of(record, method)
    details = [firsts[0].unit]
    combined = captions.aggregation(maps, firsts[0], swept=captions.by_layer(rows[0]))
    if combined:
        details.append(combined)
    parts = [", ".join(details)]
    # Rows of one image need no names.
    places = list(filter(None, (place(one.grid, record.source_images) for one in firsts)))
    if places:
        parts.append(f"rows: {'; '.join(places)}")
    error = captions.uncertainties(list(chain.from_iterable(rows)))
    if error:
        parts.append(error)
    known = list(filter(None, chain.from_iterable(scales)))
    coloured = captions.NO_EVIDENCE
    if known:
        coloured = f"colours follow the {ruled(known)}"
        if known[0].over != "each":
            coloured += f"; {known[0].summit}"
        coloured += f"; {captions.halves(chain.from_iterable(rows))}"
    return f"{captions.method_name(method)} ({'; '.join(parts)}): {coloured}."
