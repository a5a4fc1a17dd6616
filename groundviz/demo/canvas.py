"""Soft-edged shapes on a unit square, evaluated at any resolution. Pure numpy.

Positions are (row, col) in [0, 1]; every profile is float32 in [0, 1], 1 inside the shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from groundviz.record.types import Bools, Floats

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """Pixel-centre coordinates of a square image, (size, 1) and (1, size) in [0, 1]."""

    row: Floats
    col: Floats

    @classmethod
    def of_size(cls, size: int) -> Canvas:
        """The canvas of an image of size by size pixels."""
        centres = ((np.arange(size) + 0.5) / size).astype(np.float32)
        return cls(centres[:, None], centres[None, :])

    def ellipse(self, centre: Point, radius: Point, edge: float, tilt: float = 0.0) -> Floats:
        """An ellipse whose border fades over about `edge` of its radius."""
        down, right = self.row - np.float32(centre[0]), self.col - np.float32(centre[1])
        cos, sin = np.float32(np.cos(tilt)), np.float32(np.sin(tilt))
        across = (cos * right + sin * down) / np.float32(radius[1])
        along = (cos * down - sin * right) / np.float32(radius[0])
        return step(np.float32(1) - np.sqrt(across * across + along * along), edge)

    def line(self, start: Point, stop: Point, width: float) -> Floats:
        """A straight stroke of full width `width` with soft borders."""
        axis = np.array(stop, np.float32) - np.array(start, np.float32)
        down, right = self.row - np.float32(start[0]), self.col - np.float32(start[1])
        along = np.clip((down * axis[0] + right * axis[1]) / np.float32(axis @ axis), 0, 1)
        distance = np.hypot(down - along * axis[0], right - along * axis[1])
        return step(np.float32(width / 2) - distance, width / 4)

    def strokes(self, points: tuple[Point, ...], width: float) -> Floats:
        """A chain of straight strokes through `points`."""
        chain = [self.line(a, b, width) for a, b in pairwise(points)]
        return np.asarray(np.maximum.reduce(chain), dtype=np.float32)

    def box(self, centre: Point, half: Point, edge: float) -> Floats:
        """An upright rectangle with soft, rounded borders."""
        down = np.abs(self.row - np.float32(centre[0])) / np.float32(half[0])
        right = np.abs(self.col - np.float32(centre[1])) / np.float32(half[1])
        return step(1.0 - (down**4 + right**4) ** 0.25, edge)


def step(signed_distance: Floats, edge: float) -> Floats:
    """A smooth 0-to-1 step of width `edge` at zero."""
    ramp = np.clip(signed_distance / np.float32(edge) + np.float32(0.5), 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), dtype=np.float32)


def inside(profile: Floats) -> Bools:
    """The mask of a profile: where the shape is at least half there."""
    return np.asarray(profile >= 0.5)


def smooth_noise(rng: np.random.Generator, cells: int, size: int) -> Floats:
    """Unit-variance noise drawn on a `cells` grid and stretched to (size, size).

    The grid, not the image, sets the detail: the same seed shows the same texture at any size.
    """
    coarse = rng.standard_normal((cells, cells), dtype=np.float32)
    at = np.clip((np.arange(size) + 0.5) * (cells / size) - 0.5, 0, cells - 1)
    weights = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(cells)[None, :])).astype(np.float32)
    return np.asarray(weights @ coarse @ weights.T, dtype=np.float32)
