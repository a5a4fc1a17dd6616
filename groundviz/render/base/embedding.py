"""What leaves this computer in a notebook's output or a page, as `groundviz.options` says."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from groundviz.record.types import Floats, Record, SourceImage
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
    changed: list[SourceImage] = []
    for source_image in record.source_images:
        # What the file holds would show what was made coarse.
        changed.append(replace(source_image, pixels=change(source_image.pixels), stored=None))
    return replace(record, source_images=tuple(changed))


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
    # Blocks at the lower and right border may hold fewer pixels than the others.
    total = _sums(pixels, step)
    count = _sums(np.ones_like(pixels), step)
    blocks = (total / count).repeat(step, axis=0).repeat(step, axis=1)
    return np.asarray(blocks[:rows, :cols], dtype=np.float32)


def _sums(pixels: Floats, step: int) -> Floats:
    """The sum of each block of `step` by `step` pixels."""
    rows, cols = pixels.shape[:2]
    down = np.add.reduceat(pixels, range(0, rows, step), axis=0)
    return np.add.reduceat(down, range(0, cols, step), axis=1)
