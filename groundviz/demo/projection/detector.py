"""From attenuation to a radiograph: scatter, unsharpness, noise, display curve, marker and collimation."""

from __future__ import annotations

import numpy as np

from groundviz.demo.projection.canvas import Canvas, Point, smooth_noise, step, stretched
from groundviz.record.types import Floats

_LETTER_R: tuple[tuple[Point, ...], ...] = (
    ((0.0, 0.0), (1.0, 0.0)),
    ((0.0, 0.0), (0.0, 0.5), (0.12, 0.68), (0.38, 0.68), (0.5, 0.5), (0.5, 0.0)),
    ((0.5, 0.3), (1.0, 0.7)),
)
_SCATTER_CELLS = 28
_SCATTER_REACH = 0.07  # Standard deviation, in units of the image's side.
_SCATTER_SHARE = 0.035
# The share of the smooth part that the display takes away, so that dense regions show detail.
_EQUALISED = 0.25
_UNSHARP = 0.0009  # Standard deviation of the detector's blur.
_GRAIN = {56: 0.35, 112: 0.6, 224: 0.8, 448: 0.9, 896: 0.9}
_QUANTA = 0.0105  # Noise where nothing absorbs, of the logarithm.


def expose(canvas: Canvas, attenuation: Floats, plain: Floats, rng: np.random.Generator) -> Floats:
    """The displayed image, bright where dense, float32 (size, size) in [0, 1].

    Args:
        canvas: The pixels.
        attenuation: What is to be shown.
        plain: The body without details, from which scatter comes: a lesion changes no pixel but its own.
        rng: The stream of noise, exposure, marker and collimation.
    """
    contrast, centre = rng.uniform(0.98, 1.14), rng.uniform(-0.12, 0.12) + 1.68
    at = (rng.uniform(0.035, 0.05), rng.uniform(0.035, 0.055))
    borders = rng.uniform(-0.012, 0.016, 4).astype(np.float32)
    sharp = _unsharp(attenuation, canvas.size)
    signal = np.exp(-sharp) + np.float32(_SCATTER_SHARE) * _blurred(np.exp(-plain))
    noise = _grain(rng, canvas.size) * np.float32(_QUANTA) / np.sqrt(signal)
    logarithm = -np.log(signal) + noise - np.float32(_EQUALISED) * _blurred(plain)
    shown = np.float32(0.5) + np.float32(0.5) * np.tanh(
        np.float32(contrast / 1.55) * (logarithm - np.float32(centre))
    )
    marked = _with_marker(canvas, shown, at)
    return np.asarray(np.clip(_collimated(canvas, marked, borders), 0, 1), dtype=np.float32)


def _blurred(values: Floats) -> Floats:
    """An image blurred over centimetres."""
    size = len(values)
    edges = np.arange(_SCATTER_CELLS + 1) * (size / _SCATTER_CELLS)
    low, high = (
        np.maximum(edges[:-1, None], np.arange(size)),
        np.minimum(edges[1:, None], np.arange(size) + 1),
    )
    gather = np.maximum(high - low, 0) * (_SCATTER_CELLS / size)
    off = (np.arange(_SCATTER_CELLS)[:, None] - np.arange(_SCATTER_CELLS)) / (_SCATTER_CELLS * _SCATTER_REACH)
    blur = np.exp(-(off**2) / 2)
    spread = ((blur / blur.sum(1, keepdims=True)) @ gather).astype(np.float32)
    return stretched(spread @ values @ spread.T, size)


def _unsharp(values: Floats, size: int) -> Floats:
    """The detector's blur, where the pixels are fine enough to show it."""
    width = _UNSHARP * size
    if width < 0.3:
        return values
    reach = int(np.ceil(3 * width))
    taps = np.exp(-((np.arange(-reach, reach + 1) / width) ** 2) / 2)
    for axis in (0, 1):
        pad = [(reach, reach) if a == axis else (0, 0) for a in (0, 1)]
        padded = np.pad(values, pad, mode="edge")
        values = np.zeros_like(values)
        for first, tap in enumerate(taps):
            values += np.float32(tap / taps.sum()) * np.take(padded, range(first, first + size), axis)
    return values


def _grain(rng: np.random.Generator, size: int) -> Floats:
    """Noise of about unit variance; an image shows those of its octaves that its pixels can."""
    grain = np.zeros((size, size), np.float32)
    for cells, share in _GRAIN.items():
        if cells <= max(size, 112):
            grain += np.float32(share) * smooth_noise(rng, cells, size)
    return grain


def _with_marker(canvas: Canvas, shown: Floats, at: Point) -> Floats:
    """A lead "R" on the patient's right side, in the upper left corner."""
    height, reach = 0.062, canvas.size // 8
    patch = Canvas(canvas.row[:reach], canvas.col[:, :reach], canvas.size)
    marked = shown.copy()
    for chain in _LETTER_R:
        points = tuple((at[0] + row * height, at[1] + col * height) for row, col in chain)
        letter = patch.strokes(points, 0.0135) * np.float32(0.97)
        marked[:reach, :reach] = np.maximum(marked[:reach, :reach], letter)
    return marked


def _collimated(canvas: Canvas, shown: Floats, borders: Floats) -> Floats:
    """Black where the shutters stood; a border below zero is outside the image."""
    top, left, bottom, right = borders
    rows = step(canvas.row - top, 0.006) * step(1 - bottom - canvas.row, 0.006)
    cols = step(canvas.col - left, 0.006) * step(1 - right - canvas.col, 0.006)
    return np.asarray(shown * rows * cols, dtype=np.float32)
