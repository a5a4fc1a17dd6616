"""A record as the viewer reads it: one run of bytes with words, 8-bit maps and 8-bit images.

The bytes are the length of a JSON header (unsigned 32-bit, little-endian), the header, and the
blobs it points into by (start, length). A blob of maps is deflated, in the 8 bits of
`groundviz.render.viewer.quantize`. That is fine enough for a screen and not meant for anything else:
numbers for a paper come from `Explanation.heatmap`.

Heads, and then layers, stay behind where they would make the payload large; it says so.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from groundviz.record.geometry import cell_coverage
from groundviz.record.targets import findings
from groundviz.record.tiles import place
from groundviz.record.types import Answer, Floats, Grid, Heatmaps, Record, SourceImage, Target
from groundviz.render.base import captions, checked
from groundviz.render.base.colour import COLOURS, least, table, too_small
from groundviz.render.base.contours import Outline
from groundviz.render.base.escape import visible
from groundviz.render.viewer import shown_images
from groundviz.render.viewer.container import add, blob_at, framed
from groundviz.render.viewer.quantize import coded, decoded
from groundviz.render.viewer.shown_images import Sizes as Sizes

Detail = Literal["heads", "layers", "combined"]

# Values of all maps together: up to the first with every head, up to the second with every layer.
_MOST_WITH_HEADS, _MOST_WITH_LAYERS = 1_500_000, 2_900_000


def pack(
    record: Record,
    *,
    known: Sequence[Outline] = (),
    name: str = "",
    detail: Detail | None = None,
    encode: Callable[[SourceImage], bytes] | None = None,
    sizes: Sizes = "all",
) -> bytes:
    """Everything the viewer shows of a record, in bytes that are the same every time.

    Args:
        record: What is shown. Only its pixels, words and maps go in: no notes on where they came from.
        known: Outlines known from elsewhere, which maps are compared with.
        name: What to call it where several stand side by side.
        detail: "heads" for every head of every layer, "layers" for layers with their heads combined,
            "combined" for one map per token; None for as much as fits in about 2.5 MB.
        encode: Makes a PNG or JPEG of each image, in 8 bits, in place of its numbers; None for these.
        sizes: "all" for images of up to 4,096 pixels, "first" for at most 1,024, "ask" for these and word of
            the others.
    """
    chosen = detail or _affordable(record.heatmaps)
    blobs: list[bytes] = []
    # Once is enough.
    label = record.label if name not in ("", record.label) else ""
    cut = captions.cut_off(record.answer)
    if cut:
        cut = f"{captions.CUT} {cut}"
    # Their order is the order of their bytes.
    images: list[dict[str, Any]] = []
    for number, one in enumerate(record.source_images):
        images.append(shown_images.header(record, number, blobs, sizes, file=encode(one) if encode else None))
    maps = [_maps(one, record, chosen, known, blobs) for one in record.heatmaps]
    header = {
        "name": visible(name or record.label),
        "label": visible(label),
        "cut": cut,
        "missing": missing(record),
        "evidence": checked.payload(record),
        "weights": _key(record.provenance.weights),
        "known": [_outline(one) for one in known],
        "question": visible(record.prompt.question),
        "before": list(map(visible, captions.before(record.prompt))),
        "source": record.answer.source,
        "sure": captions.percent(record.answer.confidence),
        "asked": list(_asked(record)),
        "tokens": list(_tokens(record.answer)),
        "parts": list(_parts(record)),
        "words": [list(word.tokens) for word in captions.in_order(record.answer)],
        "images": images,
        "stacks": shown_images.stacks(record),
        "maps": maps,
        "kinds": [_colours(signed=False), _colours(signed=True)],
        "colours": {colours: base64.b64encode(table(colours).tobytes()).decode() for colours in COLOURS},
        "says": captions.NOT_WHY,
    }
    return framed(header, blobs)


def _colours(*, signed: bool) -> list[str]:
    """The names of the colours for maps with or without a sign."""
    return [name for name, kind in COLOURS.items() if kind == signed]


def together(packs: Sequence[bytes]) -> bytes:
    """Several payloads as one, for a viewer that shows them side by side."""
    blobs: list[bytes] = []
    places: list[list[int]] = []
    for one in packs:
        places.append(add(one, blobs))
    return framed({"packs": places}, blobs)


def heads_of(maps: Heatmaps, layer: int) -> bytes:
    """Every head of one layer, in the bytes of a blob: what a live viewer asks for when it needs it.

    Raises:
        TargetError: The layer was not measured.
    """
    # Where a method tells no layers apart, all it has is in the first place.
    at = maps.layers.index(layer) if maps.layers else 0
    kept = maps.values[:, at : at + 1]
    return zlib.compress(coded(kept), 6)


def missing(record: Record) -> list[str]:
    """What a reader must know besides what each map says of itself: what never ran, or is known to err."""
    sentences = [*captions.incomplete(record, ()), *captions.cautions(record.heatmaps)]
    return list(map(visible, sentences))


def images_of(records: Sequence[Record]) -> tuple[list[list[Any]], bytes]:
    """The images of several records, each as [record, image, header], and the bytes that these point into."""
    told, blobs = list[list[Any]](), list[bytes]()
    for side, record in enumerate(records):
        for number in range(len(record.source_images)):
            told.append([side, number, shown_images.header(record, number, blobs, "ask")])
    return told, b"".join(blobs)


def maps_of(
    record: Record, heatmaps: Sequence[Heatmaps], *, known: Sequence[Outline] = ()
) -> tuple[list[dict[str, Any]], bytes]:
    """Some of a record's maps as `pack` would hold them: their headers, and the bytes these point into."""
    chosen, blobs = _affordable(heatmaps), list[bytes]()
    headers = [_maps(one, record, chosen, known, blobs) for one in heatmaps]
    return headers, b"".join(blobs)


def read(payload: bytes) -> tuple[dict[str, Any], list[Floats]]:
    """What a viewer reads: the header, and the maps (target, layer, head, row, col) as it sees them."""
    (length,) = struct.unpack_from("<I", payload)
    header = json.loads(payload[4 : 4 + length])
    maps: list[Floats] = []
    for one in header["maps"]:
        content = zlib.decompress(blob_at(payload, 4 + length, one["at"]))
        maps.append(decoded(content, one["shape"]))
    return header, maps


def _affordable(heatmaps: Iterable[Heatmaps]) -> Detail:
    with_heads = with_layers = 0
    for one in heatmaps:
        with_heads += one.values.size
        with_layers += one.values.size // one.values.shape[2]
    if with_heads <= _MOST_WITH_HEADS:
        return "heads"
    if with_layers <= _MOST_WITH_LAYERS:
        return "layers"
    return "combined"


def _maps(
    maps: Heatmaps, record: Record, detail: Detail, known: Sequence[Outline], blobs: list[bytes]
) -> dict[str, Any]:
    """One method on one grid: what it counts, where its cells lie, and its values."""
    kept = _kept(maps, detail)
    (scale_row, _, shift_row), (_, scale_col, shift_col) = maps.grid.to_source.tolist()
    shown = maps.at(maps.targets[0])
    spanned = least(maps.unit, _cells(record, maps.method))
    # Layers that were combined cannot be told apart any more.
    layers = list(maps.layers) if kept.shape[1] == maps.values.shape[1] else []
    values = add(zlib.compress(coded(kept), 9), blobs)
    inside = None
    if known:
        inside = add(zlib.compress(_inside(maps.grid, known), 9), blobs)
    return {
        "method": visible(maps.method),
        "name": visible(captions.method_name(maps.method)),
        "place": visible(place(maps.grid, record.source_images)),
        "label": visible(maps.grid.label),
        "claim": captions.claim(shown),
        "interrupted": captions.interrupted(maps),
        "shortfall": visible(captions.shortfall(maps)),
        "errors": _errors(maps),
        "unit": visible(maps.unit),
        "signed": maps.signed,
        "least": spanned,
        "under": too_small(maps.unit, spanned),
        "reduce": list(maps.reduce),
        "layers": layers,
        "measured": list(maps.values.shape[1:3]),
        "targets": [_target(target, record.answer) for target in maps.targets],
        "image": maps.grid.image,
        "to_source": [scale_row, shift_row, scale_col, shift_col],
        "shape": list(kept.shape),
        "at": values,
        "inside": inside,
    }


def _key(weights: str) -> str:
    """What tells models apart, and nothing else of them: maps of the same one share a scale."""
    return hashlib.sha256(weights.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _cells(record: Record, method: str) -> int:
    """How many cells a method has on all images and tiles."""
    return sum(maps.grid.rows * maps.grid.cols for maps in record.heatmaps if maps.method == method)


def _errors(maps: Heatmaps) -> list[str] | None:
    """The standard error of each target's map in words; None of a method that draws nothing at random."""
    if maps.standard_error is None:
        return None
    sentences: list[str] = []
    # One target at a time, for to find each among thousands takes minutes.
    for at, target in enumerate(maps.targets):
        values, error = maps.values[at : at + 1], maps.standard_error[at : at + 1]
        alone = replace(maps, values=values, targets=(target,), standard_error=error)
        sentences.append(captions.uncertainty(alone.at(target), maps))
    return sentences


def _inside(grid: Grid, known: Sequence[Outline]) -> bytes:
    """For each outline the share of each cell inside it, in 8 bits; nothing on another image."""
    shares: list[npt.NDArray[np.floating]] = []
    for one in known:
        if one.image == grid.image:
            shares.append(cell_coverage(grid, one.mask))
        else:
            shares.append(np.zeros((grid.rows, grid.cols)))
    levels: npt.NDArray[np.uint8] = np.rint(255.0 * np.clip(np.stack(shares), 0.0, 1.0)).astype(np.uint8)
    return levels.tobytes()


def _outline(one: Outline) -> dict[str, Any]:
    lines = [np.round(line[:, ::-1], 1).tolist() for line in one.lines]
    return {"name": visible(one.name), "image": one.image, "lines": lines}


def _kept(maps: Heatmaps, detail: Detail) -> Floats:
    """The values that go in: (target, layer, head, row, col), with what is left out combined."""
    kept = maps.values
    # Heads first, then layers.
    axes: dict[Detail, tuple[int, ...]] = {"heads": (), "layers": (2,), "combined": (2, 1)}
    for axis in axes[detail]:
        if maps.reduce[axis] == "mean":
            kept = kept.mean(axis=axis, keepdims=True)
        else:
            kept = kept.sum(axis=axis, keepdims=True)
    return kept


def _target(target: Target, answer: Answer) -> dict[str, Any]:
    name = captions.part(answer, target)
    label = captions.quoted(target)
    if name == captions.WHOLE:
        label = f"the {name}"
    return {
        "tokens": list(target.tokens),
        "text": visible(name),
        "label": visible(label),
        "foil": visible(target.foil.text) if target.foil else None,
    }


def _parts(record: Record) -> Iterator[dict[str, Any]]:
    """What a reader may choose by name: what was asked for, then the findings of a longer answer."""
    known = {target.scalar: target for target in record.targets}
    sentences = findings(record.answer)
    # A single finding is the whole answer.
    if len(sentences) > 1:
        known |= {target.scalar: target for target in sentences}
    for target in known.values():
        part = {**_target(target, record.answer), "sure": None}
        if not target.in_question:
            part["sure"] = captions.percent(captions.probability(record.answer, target))
        yield part


def _tokens(answer: Answer) -> Iterator[dict[str, Any]]:
    """Each token of the answer, and how sure the model was of it."""
    written = _written(answer.text, answer.offsets.tolist(), answer.tokens)
    for token, logprob in zip(written, answer.logprobs.tolist(), strict=True):
        sure = float(np.exp(logprob))
        yield {**token, "sure": captions.percent(sure), "probability": round(sure, 3)}


def _asked(record: Record) -> Iterator[dict[str, Any]]:
    """Each token of the question, by its index below zero, where some method measured them."""
    prompt = record.prompt
    measured = chain.from_iterable(maps.targets for maps in record.heatmaps)
    if not any(target.in_question for target in measured):
        return
    names = [prompt.tokens[index] for index in prompt.asked]
    written: Iterable[dict[str, str | bool]]
    if prompt.offsets is None:
        # Nothing else is known of them than their names in the vocabulary.
        written = [{"text": visible(name), "before": " ", "spoken": True} for name in names]
    else:
        offsets = [prompt.offsets[index].tolist() for index in prompt.asked]
        written = _written(prompt.question, offsets, names)
    for token, index in zip(written, prompt.asked, strict=True):
        yield {**token, "index": index}


def _written(
    text: str, offsets: Sequence[tuple[int, int]], names: Sequence[str]
) -> Iterator[dict[str, str | bool]]:
    """Each token as it wrote itself into a text, or its name where it wrote nothing."""
    end = 0
    for (start, stop), name in zip(offsets, names, strict=True):
        wrote = text[start:stop]
        first = start + len(wrote) - len(wrote.lstrip())
        # Some tokenizers count the space before a word to the word, others to no token at all.
        before = text[end:first] if stop > start else ""
        end = max(end, first + len(wrote.strip()))
        yield {
            "text": visible(wrote.strip() or (wrote or name).strip(" ") or "\N{SYMBOL FOR SPACE}"),
            "before": "\n".join(map(visible, before.split("\n"))),
            "spoken": stop > start,
        }
