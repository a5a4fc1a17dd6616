"""Hundreds of cases in one self-contained page, which draws only what is in view.

The page holds, in this order: an index of numbers and words, the program, then the small images and the
viewer's payloads, a line each. So the sheet stands before the last byte has been read, and a case is unpacked
when it is opened. What all payloads share, such as tables of colours, is held once.
"""

from __future__ import annotations

import base64
import io
import json
import math
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from PIL import Image

from groundviz.record.types import Heatmap, Record, SourceImage
from groundviz.render.base import escape, overlay
from groundviz.render.base.colour import scales
from groundviz.render.base.contours import Outline
from groundviz.render.base.escape import element, visible
from groundviz.render.pages.stylesheet import STYLE
from groundviz.render.report.cases import outline
from groundviz.render.viewer import assets, pack, programs

# Pixels of the longer side: on the sheet, and in the viewer.
_SMALL, _LARGE = 150, 320
_SMALL_QUALITY, _LARGE_QUALITY = 68, 72
_CHUNK = 50
# Of each payload's header, what is the same in all.
_SHARED = ("colours", "kinds", "says")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """Something that is known of every case.

    Attributes:
        key: Its name in `Entry.facts`.
        title: What to call it.
        number: Whether it is a number, to sort by; else words, to filter by.
        digits: Behind the point.
    """

    key: str
    title: str
    number: bool = True
    digits: int = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entry:
    """One case.

    Attributes:
        record: What was asked and answered.
        heatmap: The map on the sheet; None where there is none.
        known: The reference's outlines.
        name: What to read under the small image.
        facts: A number, a text or None by the column's key.
    """

    record: Record
    heatmap: Heatmap | None
    known: tuple[Outline, ...]
    name: str
    facts: Mapping[str, float | str | None]


def page(entries: Iterable[Entry], columns: Sequence[Column], *, title: str, says: Sequence[str] = ()) -> str:
    """The gallery as one HTML page.

    Args:
        entries: The cases; they may be made one by one, for their images are not kept.
        columns: What is known of them; the first number sorts the sheet at first.
        title: Of the page.
        says: Sentences at its top.

    Cost:
        About 50 ms and 20 kB a case.
    """
    small: list[str] = []
    packs: list[str] = []
    cases: list[dict[str, Any]] = []
    shared: dict[str, Any] = {}
    for entry in entries:
        own, common = _packed(entry)
        shared = shared or common
        packs.append(base64.b64encode(own).decode())
        small.append(base64.b64encode(_thumbnail(entry)).decode())
        cases.append(
            {"name": visible(entry.name), "facts": [_fact(entry.facts.get(one.key)) for one in columns]}
        )
    index = {
        "columns": [
            {"title": visible(one.title), "number": one.number, "digits": one.digits} for one in columns
        ],
        "cases": cases,
        "shared": shared,
        "chunk": _CHUNK,
    }
    head = element("header", element("h1", title), *(element("p", one) for one in says))
    still = element(
        "p", f"{len(cases)} cases. This page needs its script, which your browser does not run here."
    )
    place = element("main", still, id="gallery")
    body = [head, place, escape.carried([_json(index)], "gallery-index")]
    behind = [*_chunks(small, "gallery-small"), *_chunks(packs, "gallery-pack")]
    return escape.document(title, STYLE + assets.style() + style(), body, program=program(), behind=behind)


@cache
def program() -> str:
    """The gallery's program with the viewer in it, as one plain script."""
    text = programs.joined("gallery/static/main.js", "export default { showGallery };")
    return f'(() => {{\n"use strict";\n{text}showGallery({{el:document.getElementById("gallery")}});\n}})();'


@cache
def style() -> str:
    """Its style sheet, every rule of which stays inside the gallery."""
    return programs.read("gallery/static/gallery.css")


def _packed(entry: Entry) -> tuple[bytes, dict[str, Any]]:
    """The viewer's payload of a case, deflated, without what it shares with others; and that."""
    whole = pack.pack(entry.record, known=entry.known, detail="combined", encode=_jpeg)
    (length,) = struct.unpack_from("<I", whole)
    header = json.loads(whole[4 : 4 + length])
    shared = {name: header.pop(name) for name in _SHARED}
    text = _json(header).encode()
    return zlib.compress(struct.pack("<I", len(text)) + text + whole[4 + length :], 6), shared


def _jpeg(source_image: SourceImage) -> bytes:
    rows, cols = source_image.shape
    shrink = min(1.0, _LARGE / max(rows, cols))
    shape = max(1, round(rows * shrink)), max(1, round(cols * shrink))
    levels = overlay.to_bytes(overlay.resample(source_image.pixels, shape))
    image = Image.fromarray(levels)
    if source_image.pixels.ndim == 2:
        image = image.convert("L")
    return _encoded(image, _LARGE_QUALITY)


def _thumbnail(entry: Entry) -> bytes:
    """The image with its map and its reference, small."""
    source_image = entry.record.source_images[entry.heatmap.grid.image if entry.heatmap else 0]
    shape = overlay.fitting(source_image, _SMALL)
    shown = overlay.resample(source_image.pixels, shape)
    if entry.heatmap is not None:
        (scale,) = scales([entry.heatmap])
        if scale is not None:
            shown = overlay.overlaid(source_image, shape, entry.heatmap, scale)
    image = Image.fromarray(overlay.to_bytes(shown))
    for one in entry.known:
        outline(image, one.mask)
    return _encoded(image, _SMALL_QUALITY)


def _encoded(image: Image.Image, quality: int) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def _chunks(lines: Sequence[str], name: str) -> list[escape.Html]:
    return [
        escape.carried(lines[start : start + _CHUNK], f"{name}-{start // _CHUNK}")
        for start in range(0, len(lines), _CHUNK)
    ]


def _fact(value: float | str | None) -> float | str | None:
    if isinstance(value, str):
        return visible(value)
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), 6)


def _json(content: Mapping[str, Any]) -> str:
    """JSON in one line that no page takes for markup."""
    return json.dumps(content, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
