"""Test images that show where an image processor puts every source pixel.

A ramp gets brighter from row to row, or from column to column. The brightness of a model pixel then gives
the source row or column it came from, whatever padding, resizing, cropping or tiling was on the way. All
pixels are located at once. This needs brightness to pass through the processor linearly, which is so when it
subtracts a mean and divides by a deviation.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from groundviz.models.adapter.probe_images import QUESTION, source_image_of
from groundviz.models.adapter.vlm import VLM
from groundviz.models.certification.gradient_paths import centres_of, patch_sizes, view_of
from groundviz.record.types import Bools, Doubles, Floats, Grid
from groundviz.runtime.inputs.encoded import Cells, Encoded

# In pixels. At the border a processor averages fewer neighbours, so these pixels are not compared.
RIM = 1.5


@dataclass(frozen=True, slots=True)
class PixelTrace:
    """How the model's pixels compare with what the adapter says about them.

    Attributes:
        error: The largest distance between a pixel and the position the adapter gives it, in patches.
        strays: Of the input numbers that show the image, the share that is in no pixel of the adapter.
    """

    error: float
    strays: float


def follow_source(vlm: VLM, shape: tuple[int, int]) -> PixelTrace | None:
    """Locate the model's pixels in a source image of this shape; None if their layout is not known.

    Cost: four encodings; the model does not run.
    """
    dark = _encode(vlm, np.zeros((*shape, 3)))
    if not dark.cells["pixels"].index.size:
        return None
    light = _encode(vlm, np.ones((*shape, 3)))
    black = _pixel_values(dark)
    spread = _pixel_values(light) - black
    # Padding has the same value in both images; pixels that show the image differ.
    shows_image = np.abs(spread) > np.abs(spread).max() / 2
    divisor = np.where(shows_image, spread, 1.0)
    cells, patches = dark.cells["pixels"], patch_sizes(dark)
    seen = shows_image[cells.index].all(axis=2)
    positions = []
    for axis in (0, 1):
        ramp = _encode(vlm, _ramp(shape, axis))
        share = (_pixel_values(ramp) - black) / divisor
        # The mean over the three colours.
        positions.append(share[cells.index].mean(axis=2))
    found = np.stack(positions, axis=-1)
    error = 0.0
    for grid, own in _pixels_by_grid(cells):
        for copy, visible in zip(found, seen, strict=True):
            off = _displacement(grid, copy[own] * shape, visible[own], shape) / patches[view_of(grid)]
            error = max(error, float(off.max(initial=0.0)))
    shown = (np.abs(spread) > 0) & _of_inputs_in(dark)
    shows_image &= shown
    shows_image[cells.index] = False
    strays = shows_image.sum() / max(1, shown.sum())
    return PixelTrace(error, float(strays))


def _encode(vlm: VLM, pixels: Doubles) -> Encoded:
    return vlm.encode((source_image_of(pixels),), QUESTION)


def _of_inputs_in(encoded: Encoded) -> Bools:
    """Which numbers are of an image input that has cells, bool (number,).

    Some models read each image twice, at two sizes; cells are then those of the size that is told apart.
    """
    sizes = [encoded.inputs[name].numel() for name in encoded.image_inputs]
    number = np.repeat(np.arange(len(sizes)), sizes)
    return np.isin(number, np.unique(number[encoded.cells["pixels"].index]))


def _pixels_by_grid(cells: Cells) -> list[tuple[Grid, slice]]:
    """Each grid of the pixels, with its part of the list of all pixels."""
    counts = [len(centres_of([grid])) for grid in cells.grids]
    edges = np.cumsum([0, *counts]).tolist()
    parts = [slice(start, stop) for start, stop in pairwise(edges)]
    return list(zip(cells.grids, parts, strict=True))


def _displacement(grid: Grid, found: Doubles, seen: Bools, shape: tuple[int, int]) -> Doubles:
    """How far each pixel is from where the grid says, float (pixel, 2) in source pixels.

    Args:
        grid: The pixels.
        found: The source row and column that each pixel shows, float (pixel, 2).
        seen: Which pixels show the image, bool (pixel,).
        shape: Rows and columns of the source image.
    """
    claimed = centres_of([grid])
    rim = RIM * np.maximum(1.0, np.abs(np.diag(grid.to_source[:, :2])))
    # How deep in the image a pixel should be: negative outside.
    depth = np.minimum(claimed, np.array(shape) - claimed) - rim
    inside = (depth > 0).all(axis=1)
    outside = (depth < -2 * rim).any(axis=1)
    # A pixel that should show the image and does not is off by as much as it should be inside.
    off = np.where(seen[:, None], np.abs(claimed - found), depth.min(axis=1, keepdims=True))
    return np.asarray(off[inside | (outside & seen)])


def _ramp(shape: tuple[int, int], axis: int) -> Doubles:
    """An image that gets brighter along an axis, float (row, col, 3).

    The colours differ by a third of one of 255 levels. They are rounded differently, so that their mean is
    more precise than one level.
    """
    steps = (np.arange(shape[axis]) + 0.5) / shape[axis]
    if axis == 0:
        steps = steps[:, None]
    ramp = np.broadcast_to(steps, shape)[..., None]
    shifts = np.array([-1.0, 0.0, 1.0]) / 3 / 255
    return np.asarray(np.clip(ramp + shifts, 0.0, 1.0))


def _pixel_values(encoded: Encoded) -> Floats:
    """All numbers of all image inputs, in the order that `Cells.index` counts them."""
    flat = [encoded.inputs[name].float().cpu().flatten() for name in encoded.image_inputs]
    return np.asarray(torch.cat(flat), dtype=np.float32)
