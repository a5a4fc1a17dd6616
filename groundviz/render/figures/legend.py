"""Captions of figures: what is shown, on which scale, how far it may be trusted, and what made it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, groupby

from groundviz.record.tiles import place, which
from groundviz.record.types import Heatmap, Record, SourceImage
from groundviz.render.base import captions
from groundviz.render.base.colour import Scale
from groundviz.render.base.escape import visible


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
    return " ".join([*told(record, rows, scales), *notes, visible(captions.made_with(record.provenance))])


def several(parts: Sequence[tuple[str, Sequence[str], str]], notes: Sequence[str] = ()) -> str:
    """A caption for a figure of several parts, what holds for all of them said once.

    Args:
        parts: What each is called, what `told` says of it, and what made it.
        notes: What else a reader must know, in sentences.
    """
    common = [one for one in parts[0][1][1:] if all(one in sentences for _, sentences, _ in parts)]
    made = {made for _, _, made in parts}
    each = [
        " ".join(
            [name, *(one for one in sentences if one not in common), *([] if len(made) == 1 else [origin])]
        )
        for name, sentences, origin in parts
    ]
    return " ".join([*each, *common, *notes, *(made if len(made) == 1 else ())])


def told(
    record: Record, rows: Sequence[Sequence[Heatmap]], scales: Sequence[Sequence[Scale | None]]
) -> list[str]:
    """What is shown of a record and on which scale, sentence by sentence; `visible` to the reader."""
    shown = [row[0] for row in rows]
    left = "the image of each row" if len({one.grid.image for one in shown}) > 1 else "the image"
    opening = f"{_asked(record, shown)} First, {left}; then {_panels(rows)}."
    methods = _method_sentences(record, rows, scales)
    not_why = [captions.NOT_WHY] if captions.of_attention(shown) else []
    label = [f"Labelled “{record.label}”."] if record.label else []
    undone = captions.incomplete(record, {one.method for one in shown})
    parts = [
        opening,
        *label,
        *captions.before(record.prompt),
        *undone,
        *_sizes(record.source_images),
        *methods,
        *captions.cautions(shown),
        *captions.undrawn(record, shown),
        *_left_out(record, rows),
        *not_why,
    ]
    return [visible(one) for one in parts]


def _asked(record: Record, shown: Sequence[Heatmap]) -> str:
    said = "answered" if record.answer.source == "generated" else "was given the answer"
    maps = "Maps of the images" if len(record.source_images) > 1 else "Maps of the image"
    looked = all(captions.claim(heatmap) for heatmap in shown)
    asked = "Where the model looked when asked" if looked else f"{maps} when the model was asked"
    cut = captions.cut_off(record.answer)
    whole = f" {captions.CUT}, {cut}" if cut else ""
    return f"{asked} “{record.prompt.question}” and it {said} “{record.answer.text}”{whole}."


def _panels(rows: Sequence[Sequence[Heatmap]]) -> str:
    """What the maps are of, from left to right."""
    targets = {heatmap.target.scalar: captions.quoted(heatmap.target) for row in rows for heatmap in row}
    named = ", ".join(targets.values())
    maps = "map" if max(map(len, rows)) == 1 else "maps"
    return f"the {maps} for {named}" + (", layer by layer" if any(map(captions.by_layer, rows)) else "")


def _left_out(record: Record, rows: Sequence[Sequence[Heatmap]]) -> Iterator[str]:
    """How many of the parts that were asked for are drawn, where it is not all of them."""
    shown = {heatmap.target.scalar for row in rows for heatmap in row}
    drawn = sum(target.scalar in shown for target in record.targets)
    if 0 < drawn < len(record.targets):
        yield f"Of {len(record.targets):,} parts that were asked for, {drawn:,} are drawn."


def _sizes(source_images: Sequence[SourceImage]) -> Iterator[str]:
    """Which image is which, where there are several."""
    if len(source_images) > 1:
        named = "; ".join(
            f"{which(image, len(source_images))}, {source_image.shape[0]} by {source_image.shape[1]} pixels"
            for image, source_image in enumerate(source_images)
        )
        yield f"{named[:1].upper()}{named[1:]}."


def _method_sentences(
    record: Record, rows: Sequence[Sequence[Heatmap]], scales: Sequence[Sequence[Scale | None]]
) -> Iterator[str]:
    """What is shown of each method, row by row, on which scale."""
    for method, group in groupby(zip(rows, scales, strict=True), key=lambda pair: pair[0][0].method):
        its_rows, its_scales = zip(*group, strict=True)
        firsts, swept = [row[0] for row in its_rows], captions.by_layer(its_rows[0])
        scale = next(filter(None, chain.from_iterable(its_scales)), None)
        places = "; ".join(filter(None, (place(one.grid, len(record.source_images)) for one in firsts)))
        combined = captions.aggregation(captions.maps_of(record, method), firsts[0], swept=swept)
        details = ", ".join(filter(None, [firsts[0].unit, combined]))
        rows_are = f"rows: {places}" if places else ""
        error = captions.uncertainties(list(chain.from_iterable(its_rows)))
        told = "; ".join(filter(None, (details, rows_are, error)))
        coloured = f"colours from {scale.rule}" if scale else captions.NO_EVIDENCE
        yield f"{captions.method_name(method)} ({told}): {coloured}."
