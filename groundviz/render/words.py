"""What stands beside a picture, in words: labels, sentences, captions. One wording for figures and pages."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby

import numpy as np

from groundviz.geometry import apply
from groundviz.render.colour import Scale
from groundviz.render.escape import visible
from groundviz.render.overlay import OPACITY, OUTLINE, outlined
from groundviz.targets import answered, find
from groundviz.tiles import place, which
from groundviz.types import Answer, Heatmap, Heatmaps, Provenance, Record, Study, Target

WHOLE = "whole answer"
NOT_WHY = "Attention shows where the model looked, not why it answered."
PERCENTAGES = "Percentages: the model's probability of that part of the answer."
SMOOTH = "Values are interpolated between the centres of the model's cells."
REFERENCE = "Dotted: reference contours, which the model was not given."
NO_EVIDENCE = "no evidence"
# As their papers write them.
_PROPER = {
    "grad_cam": "Grad-CAM",
    "hires_cam": "HiResCAM",
    "layer_cam": "LayerCAM",
    "rise": "RISE",
    "smooth_grad": "SmoothGrad",
}


def method_name(method: str) -> str:
    """A registered name as it reads in a sentence's beginning.

    >>> method_name("gradient_attention"), method_name("rise")
    ('Gradient attention', 'RISE')
    """
    if method in _PROPER:
        return _PROPER[method]
    words = method.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def titled(heatmap: Heatmap, images: int) -> str:
    """The method of a map and, of so many images and their tiles, which it lies on."""
    return " · ".join(filter(None, (method_name(heatmap.method), place(heatmap.grid, images))))


def claim(heatmap: Heatmap) -> str:
    """What a map of attention shows, never why the model answered; nothing is claimed for other maps."""
    return "where the model looked" if "attention" in heatmap.unit else ""


def aggregation(maps: Heatmaps, heatmap: Heatmap, *, swept: bool = False) -> str:
    """Which layer and head a map shows, or how it combines them; empty where there was one of each.

    Args:
        maps: What the method measured.
        heatmap: The map.
        swept: Whether it is one of several layers that stand side by side.
    """
    layer = "by layer" if swept else heatmap.layer
    fixed = [f"{axis} {at}" for axis, at in (("layer", layer), ("head", heatmap.head)) if at is not None]
    layers = ("layers", maps.reduce[1], heatmap.layer is None and maps.values.shape[1] > 1)
    heads = ("heads", maps.reduce[2], heatmap.head is None and maps.values.shape[2] > 1)
    combined = [(axis, how) for axis, how, several in (layers, heads) if several]
    if len({how for _, how in combined}) == 1:
        return ", ".join([*fixed, f"{combined[0][1]} over {' and '.join(axis for axis, _ in combined)}"])
    return ", ".join([*fixed, *(f"{how} over {axis}" for axis, how in combined)])


def probability(answer: Answer, target: Target) -> float:
    """Probability of a part of the answer given what stands before it, 0 to 1.

    Raises:
        TargetError: It is a part of the question, which has none.
    """
    return math.exp(float(answer.logprobs[list(answered(target).tokens)].sum(dtype=np.float64)))


def part(answer: Answer, target: Target) -> str:
    """What to call a part of the answer, or of the question, on a label."""
    whole = target.tokens == answer.spoken and not target.rival
    return WHOLE if whole else f"{target.text.strip()}{_where(target)}"


def quoted(target: Target) -> str:
    """A part of the answer or of the question as it stands in a sentence.

    >>> quoted(Target(tokens=(-4,), text="nodule")), quoted(Target(tokens=(0,), text="yes"))
    ('“nodule” (in the question)', '“yes”')
    """
    return f"“{target.text.strip()}”{_where(target)}"


def _where(target: Target) -> str:
    return " (in the question)" if target.in_question else ""


def percent(share: float) -> str:
    """A probability as a percentage with no more digits than it deserves.

    >>> percent(0.9731), percent(0.00002), percent(0.9999)
    ('97%', '< 1%', '> 99%')
    """
    if share < 0.01:
        return "< 1%"
    return "> 99%" if 0.99 < share < 1.0 else f"{100 * share:.0f}%"


def emphasis(answer: Answer, targets: Iterable[Target]) -> list[tuple[str, bool]]:
    """The answer's text in stretches, each with whether it belongs to one of the targets."""
    explained = np.zeros(len(answer.text), dtype=bool)
    for token in {token for target in targets for token in target.tokens if not target.in_question}:
        start, stop = answer.offsets[token]
        explained[start:stop] = True
    groups = groupby(zip(answer.text, explained.tolist(), strict=True), key=lambda pair: pair[1])
    return [("".join(letter for letter, _ in group), bold) for bold, group in groups]


def pieces(answer: Answer, target: Target) -> list[Target]:
    """The words of a part of the answer, each as a target of its own; its tokens when it is a single word."""
    if target.in_question:
        return []
    words = [] if target.rival else list(_words(answer, target))
    if len(words) > 1:
        return words
    several = len(target.tokens) > 1 and not target.rival
    return [find(answer, index) for index in target.tokens] if several else []


def legend(
    studies: Sequence[Study],
    heatmaps: Iterable[Heatmap],
    *,
    percentages: str = PERCENTAGES,
    smooth: bool = False,
    contours: bool = False,
) -> list[str]:
    """How to read these maps over their images, sentence by sentence.

    Args:
        studies: The images that the maps lie on.
        heatmaps: What is shown.
        percentages: What the percentages beside the maps are; empty where there are none.
        smooth: Whether values are interpolated between cells.
        contours: Whether contours known from elsewhere are drawn.
    """
    shown = list(heatmaps)
    told = [heatmap for heatmap in shown if heatmap.has_evidence]
    sentences = [*([NOT_WHY] if _of_attention(shown) else []), *filter(None, [percentages])]
    if told:
        sentences += _reading(told, smooth=smooth)
        sentences += [SMOOTH] if smooth else []
    sentences += [REFERENCE] if contours else []
    hatched = [one for one in told if _partly_unseen(one, studies[one.grid.image])]
    # What one tile leaves out, the model may have seen in another.
    if any(heatmap.grid.label for heatmap in hatched):
        sentences.append("Hatched: not covered by this map.")
    elif hatched:
        sentences.append("Hatched: not seen by the model.")
    return sentences


def _of_attention(heatmaps: Iterable[Heatmap]) -> bool:
    """Whether attention is among what is shown, weighted or not."""
    return any("attention" in f"{heatmap.method} {heatmap.unit}" for heatmap in heatmaps)


def _reading(told: Sequence[Heatmap], *, smooth: bool) -> list[str]:
    signs = {heatmap.signed for heatmap in told}
    start = " or ".join(name for name, signed in (("the low end", False), ("zero", True)) if signed in signs)
    sentences = [f"Opacity rises from 0 at {start} to {OPACITY * 100:.0f}% at the end of the scale."]
    lined = {heatmap.signed for heatmap in told if outlined(heatmap)}
    if lined:
        dashed = ", dashed where negative" if True in lined else ""
        what = "what lies" if smooth else "cells"
        sentences.append(f"Outlined: {what} at {OUTLINE * 100:.0f}% of the scale or more{dashed}.")
    return sentences


def _partly_unseen(heatmap: Heatmap, study: Study) -> bool:
    """Whether some of the image lies outside the cells that hold a value, and is hatched."""
    (top, left), (bottom, right) = apply(heatmap.grid.to_source, np.array([[0.0, 0.0], heatmap.values.shape]))
    beyond = top > 0.5 or left > 0.5 or bottom < study.shape[0] - 0.5 or right < study.shape[1] - 0.5
    return bool(beyond or np.isnan(heatmap.values).any())


def describe(heatmap: Heatmap, images: int = 1) -> str:
    """A map in words, for those who cannot see it: what it is of, and where it is strongest.

    Args:
        heatmap: The map.
        images: How many images there are.
    """
    name = f"{method_name(heatmap.method)} for {quoted(heatmap.target)}"
    name = " on ".join(filter(None, (name, place(heatmap.grid, images))))
    if not heatmap.has_evidence:
        return f"{name}: {NO_EVIDENCE}, every cell has the same value."
    size = np.abs(heatmap.values) if heatmap.signed else heatmap.values
    row, col = np.unravel_index(np.nanargmax(np.where(np.isfinite(size), size, np.nan)), size.shape)
    where = f"row {row + 1} of {size.shape[0]}, column {col + 1} of {size.shape[1]}"
    return f"{name}: strongest at {where}, {heatmap.values[row, col]:.3g} {heatmap.unit}."


def made_with(made: Provenance) -> str:
    """Where a picture came from, in one sentence that lets a reader make it again."""
    revision = f" revision {made.revision}" if made.revision else ""
    versions = ", ".join(f"{name} {version}" for name, version in sorted(made.versions.items()))
    certified = f", {made.certificate}" if made.certificate else ""
    return (
        f"Model {made.model}{revision} ({made.family}, weights {made.weights}, {made.dtype} on "
        f"{made.device}, {made.attention} attention kernel{certified}), seed {made.seed}; {versions}."
    )


def caption(
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
    return " ".join([*told(record, rows, scales), *notes, visible(made_with(record.provenance))])


def captions(parts: Sequence[tuple[str, Sequence[str], str]], notes: Sequence[str] = ()) -> str:
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
    not_why = [NOT_WHY] if _of_attention(shown) else []
    parts = [opening, *_sizes(record.studies), *methods, *undrawn(record, shown), *not_why]
    return [visible(one) for one in parts]


def _asked(record: Record, shown: Sequence[Heatmap]) -> str:
    said = "answered" if record.answer.source == "generated" else "was given the answer"
    maps = "Maps of the images" if len(record.studies) > 1 else "Maps of the image"
    looked = all(claim(heatmap) for heatmap in shown)
    asked = "Where the model looked when asked" if looked else f"{maps} when the model was asked"
    return f"{asked} “{record.prompt.question}” and it {said} “{record.answer.text}”."


def _panels(rows: Sequence[Sequence[Heatmap]]) -> str:
    """What the maps are of, from left to right."""
    targets = {heatmap.target.scalar: quoted(heatmap.target) for row in rows for heatmap in row}
    named = ", ".join(targets.values())
    maps = "map" if max(map(len, rows)) == 1 else "maps"
    return f"the {maps} for {named}" + (", layer by layer" if any(map(by_layer, rows)) else "")


def by_layer(maps: Iterable[Heatmap]) -> bool:
    """Whether a row of maps shows one target layer by layer."""
    return len({heatmap.layer for heatmap in maps}) > 1


def layer_name(heatmap: Heatmap) -> str:
    """What to call the layer of a map: its place in the model where the method says so.

    >>> import groundviz
    >>> explanation = groundviz.explain("demo", np.zeros((112, 112), np.uint8), "Is there a nodule?")
    >>> layer_name(explanation.heatmap("attention", layer=2))
    'layer 2'
    """
    sites = heatmap.params.get("sites", ())
    if heatmap.layer is None or heatmap.layer >= len(sites):
        return f"layer {heatmap.layer}"
    return str(sites[heatmap.layer]).replace(".", " ")


def undrawn(record: Record, shown: Iterable[Heatmap]) -> list[str]:
    """How many of the maps of each method are drawn, where these are not all there are."""
    grids: dict[str, set[int]] = {}
    for heatmap in shown:
        grids.setdefault(heatmap.method, set()).add(id(heatmap.grid))
    counts = [
        (method, len(drawn), sum(maps.method == method for maps in record.heatmaps))
        for method, drawn in grids.items()
    ]
    return [
        f"{method_name(method)}: {drawn} of {count} maps {'is' if drawn == 1 else 'are'} drawn."
        for method, drawn, count in counts
        if drawn < count
    ]


def maps_of(record: Record, method: str) -> Heatmaps:
    """What one method measured in a record, on its first grid."""
    return next(maps for maps in record.heatmaps if maps.method == method)


def _sizes(studies: Sequence[Study]) -> Iterator[str]:
    """Which image is which, where there are several."""
    if len(studies) > 1:
        named = "; ".join(
            f"{which(image, len(studies))}, {study.shape[0]} by {study.shape[1]} pixels"
            for image, study in enumerate(studies)
        )
        yield f"{named[:1].upper()}{named[1:]}."


def _method_sentences(
    record: Record, rows: Sequence[Sequence[Heatmap]], scales: Sequence[Sequence[Scale | None]]
) -> Iterator[str]:
    """What is shown of each method, row by row, on which scale."""
    for method, group in groupby(zip(rows, scales, strict=True), key=lambda pair: pair[0][0].method):
        its_rows, its_scales = zip(*group, strict=True)
        firsts, swept = [row[0] for row in its_rows], by_layer(its_rows[0])
        scale = next(filter(None, chain.from_iterable(its_scales)), None)
        places = "; ".join(filter(None, (place(one.grid, len(record.studies)) for one in firsts)))
        combined = aggregation(maps_of(record, method), firsts[0], swept=swept)
        details = ", ".join(filter(None, [firsts[0].unit, combined]))
        told = f"{details}; rows: {places}" if places else details
        yield f"{method_name(method)} ({told}): {f'colours from {scale.rule}' if scale else NO_EVIDENCE}."


def _words(answer: Answer, target: Target) -> Iterator[Target]:
    for word in re.finditer(r"\w+(?:[-'/.\u2019]\w+)*", answer.text):
        tokens = [
            index
            for index in target.tokens
            if answer.offsets[index, 0] < word.end() and answer.offsets[index, 1] > word.start()
        ]
        if tokens:
            yield Target(tokens=tuple(tokens), text=word.group())
