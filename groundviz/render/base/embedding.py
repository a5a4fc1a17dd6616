"""What leaves this computer in a notebook's output or a page, as `groundviz.options` says."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from groundviz.record.types import Floats, Record
from groundviz.render.base.options import options

_LONGEST = 256


def bundle(text: str, page: Callable[[], str], preview: Callable[[], bytes]) -> dict[str, str]:
    """What a notebook keeps, by MIME type.

    Args:
        text: A line that stands for the whole.
        page: Makes the viewer's HTML.
        preview: Makes the figure, as a PNG.
    """
    kept = {"text/plain": text}
    if options.display == "viewer":
        kept["text/html"] = page()
    if options.embed != "none":
        kept["image/png"] = base64.b64encode(preview()).decode()
    return kept


def embedded(record: Record) -> Record:
    """The record with as much of its pixels as may leave; sizes and places stay what they are."""
    if options.embed == "image":
        return record
    change = _coarse if options.embed == "small" else np.zeros_like
    source_images = (
        replace(source_image, pixels=change(source_image.pixels)) for source_image in record.source_images
    )
    return replace(record, source_images=tuple(source_images))


def holds(thing: str, *, several: bool) -> str:
    """What a page or an output holds of the image, in a sentence."""
    image, itself = ("images", "themselves") if several else ("image", "itself")
    if options.embed == "none":
        return f"This {thing} contains no image: the maps lie on a black ground."
    return {
        "image": f"This {thing} contains the {image} {itself}.",
        "small": f"This {thing} contains the {image}, coarsened to {_LONGEST} pixels.",
    }[options.embed]


def _coarse(pixels: Floats) -> Floats:
    """The pixels in square blocks of one value, at most `_LONGEST` along the longer side."""
    rows, cols = pixels.shape[:2]
    step = -(-max(rows, cols) // _LONGEST)
    total, count = (
        np.add.reduceat(np.add.reduceat(one, range(0, rows, step), axis=0), range(0, cols, step), axis=1)
        for one in (pixels, np.ones_like(pixels))
    )
    blocks = (total / count).repeat(step, axis=0).repeat(step, axis=1)
    return np.asarray(blocks[:rows, :cols], dtype=np.float32)
