"""Images that tell where a processor puts every pixel.

A ramp is brighter from row to row, or from column to column: what a pixel of the model's image shows
then says which row and column of the source it is from, whatever was padded, resized, cropped or cut
into tiles on the way. All pixels are told at once. Brightness must come through linearly, as it does
where a processor subtracts a mean and divides by a spread.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from groundviz.models.adapter.vlm import VLM
from groundviz.models.certification.gradient_paths import image_of, patch_sizes, places_of
from groundviz.record.types import Bools, Doubles, Floats, Grid, SourceImage
from groundviz.runtime.inputs.encoded import PIXELS, Cells, Encoded

QUESTION = "What does the image show?"
# A processor shows the outermost pixels of an image by fewer neighbours than all others.
RIM = 1.5


@dataclass(frozen=True, slots=True)
class Shown:
    """What became of an image on the way to the pixels.

    Attributes:
        error: How far any pixel lies from where the adapter says, in patches.
        strays: The share of the numbers which show the image that no pixel of the adapter holds.
    """

    error: float
    strays: float


def source_image_of(pixels: Any) -> SourceImage:
    """A study of float pixels in [0, 1]."""
    pixels = np.asarray(pixels, dtype=np.float32)
    return SourceImage(pixels=pixels, source="array", raw_range=(0.0, 1.0), sha256="0" * 64)


def noise(shape: tuple[int, int]) -> SourceImage:
    """An image of colour noise, the same for each shape."""
    return source_image_of(np.random.default_rng(0).random((*shape, 3)))


def follow_source(vlm: VLM, shape: tuple[int, int]) -> Shown:
    """How far the model's pixels are from where the adapter says they are from; four encodings."""
    black, white = np.zeros((*shape, 3)), np.ones((*shape, 3))
    dark, light, *ramps = (
        vlm.encode((source_image_of(one),), QUESTION)
        for one in (black, white, _ramp(shape, 0), _ramp(shape, 1))
    )
    cells, patches = dark.cells["pixels"], patch_sizes(dark)
    spread = _values(light) - _values(dark)
    awake = np.abs(spread) > np.abs(spread).max() / 2
    seen = awake[cells.index].all(axis=2)
    unit = np.where(awake, spread, 1.0)
    at = [((_values(one) - _values(dark)) / unit)[cells.index].mean(axis=2) for one in ramps]
    off = [
        _displaced(grid, here[own] * shape, visible[own], shape) / patches[image_of(grid)]
        for grid, own in _each(cells)
        for here, visible in zip(np.stack(at, axis=-1), seen, strict=True)
    ]
    error = max(float(one.max(initial=0.0)) for one in off)
    awake[cells.index] = False
    return Shown(error, float(awake.sum() / max(1, (np.abs(spread) > 0).sum())))


def _each(cells: Cells) -> list[tuple[Grid, slice]]:
    """The grids of the pixels, and which of all pixels are theirs."""
    edges = np.cumsum([0, *(len(places_of([grid])) for grid in cells.grids)]).tolist()
    return [(grid, slice(*edge)) for grid, edge in zip(cells.grids, pairwise(edges), strict=True)]


def _displaced(grid: Grid, at: Doubles, seen: Bools, shape: tuple[int, int]) -> Doubles:
    """How far each pixel is from where the grid says, (pixel, 2) in source pixels.

    Args:
        grid: The pixels.
        at: The source row and column that each shows, (pixel, 2).
        seen: Which of them show the image.
        shape: Of the source image.
    """
    claimed = places_of([grid])
    rim = RIM * np.maximum(1.0, np.abs(np.diag(grid.to_source[:, :2])))
    depth = np.minimum(claimed, np.array(shape) - claimed) - rim
    inside = (depth > 0).all(axis=1)
    outside = (depth < -2 * rim).any(axis=1)
    off = np.where(seen[:, None], np.abs(claimed - at), depth.min(axis=1, keepdims=True))
    return np.asarray(off[inside | (outside & seen)])


def _ramp(shape: tuple[int, int], axis: int) -> Doubles:
    """Brighter along an axis; the colours differ by a third of a level of brightness, to be rounded apart."""
    steps = (np.arange(shape[axis]) + 0.5) / shape[axis]
    ramp = np.broadcast_to(steps[:, None] if axis == 0 else steps, shape)
    return np.asarray(np.clip(ramp[..., None] + np.array([-1.0, 0.0, 1.0]) / 3 / 255, 0.0, 1.0))


def _values(encoded: Encoded) -> Floats:
    return np.asarray(encoded.inputs[PIXELS].float().cpu(), dtype=np.float32).ravel()
