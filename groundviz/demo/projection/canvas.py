"""Shapes on a unit square, evaluated at any resolution. Pure numpy.

Positions are (row, col) in [0, 1]. A profile is float32 in [0, 1], 1 inside the shape; a chord is the
float32 length of a ray within a solid, in units of the image's side, where rays run along the depth.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from groundviz.record.types import Bools, Floats

Point = tuple[float, float]
# One or many positions.
Positions = Floats | np.float32


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """Pixel-centre coordinates of a square image, (size, 1) and (1, size) in [0, 1]."""

    row: Floats
    col: Floats
    size: int

    @classmethod
    def of_size(cls, size: int) -> Canvas:
        """The canvas of an image of size by size pixels."""
        centres = ((np.arange(size) + 0.5) / size).astype(np.float32)
        return cls(centres[:, None], centres[None, :], size)

    def part(self, top: float, bottom: float) -> tuple[slice, Canvas]:
        """The rows from `top` to `bottom`, and the canvas of them alone."""
        rows = slice(max(0, int(top * self.size)), max(0, int(bottom * self.size) + 1))
        return rows, Canvas(self.row[rows], self.col, self.size)

    def ellipse(self, centre: Point, radius: Point, edge: float, tilt: float = 0.0) -> Floats:
        """An ellipse whose border fades over about `edge` of its radius."""
        return step(np.float32(1) - np.sqrt(self.reach(centre, radius, tilt)), edge)

    def ball(self, centre: Point, radius: Point, depth: float, tilt: float = 0.0) -> Floats:
        """The chord of an ellipsoid of full depth `depth`."""
        left = np.maximum(np.float32(1) - self.reach(centre, radius, tilt), 0)
        return np.asarray(np.float32(depth) * np.sqrt(left), dtype=np.float32)

    def reach(self, centre: Point, radius: Point, tilt: float = 0.0) -> Floats:
        """The squared distance from the centre of an ellipse, 1 on its border."""
        down, right = self.row - np.float32(centre[0]), self.col - np.float32(centre[1])
        cos, sin = np.float32(np.cos(tilt)), np.float32(np.sin(tilt))
        across = (cos * right + sin * down) / np.float32(radius[1])
        along = (cos * down - sin * right) / np.float32(radius[0])
        return np.asarray(across * across + along * along, dtype=np.float32)

    def distance(self, start: Point, stop: Point) -> Floats:
        """The distance from a straight stretch."""
        axis = np.array(stop, np.float32) - np.array(start, np.float32)
        down, right = self.row - np.float32(start[0]), self.col - np.float32(start[1])
        along = np.clip((down * axis[0] + right * axis[1]) / np.float32(axis @ axis), 0, 1)
        return np.asarray(np.hypot(down - along * axis[0], right - along * axis[1]), dtype=np.float32)

    def tube(self, points: tuple[Point, ...], radius: float) -> Floats:
        """The chord of a bent tube that lies in the plane of the image."""
        near = self._near(points)
        left = np.maximum(np.float32(radius * radius) - near * near, 0)
        return np.asarray(2 * np.sqrt(left), dtype=np.float32)

    def strokes(self, points: tuple[Point, ...], width: float) -> Floats:
        """A chain of strokes of full width `width` with soft borders, a pixel or more."""
        return step(np.float32(width / 2) - self._near(points), max(width / 4, 1 / self.size))

    def _near(self, points: tuple[Point, ...]) -> Floats:
        """The distance from a chain of straight stretches."""
        near = np.full((self.row.size, self.col.size), np.inf, np.float32)
        for start, stop in pairwise(points):
            np.minimum(near, self.distance(start, stop), out=near)
        return near

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


def stretched(coarse: Floats, size: int) -> Floats:
    """A (cells, cells) grid stretched to (size, size), linear between the cells' centres."""
    cells = len(coarse)
    at = np.clip((np.arange(size) + 0.5) * (cells / size) - 0.5, 0, cells - 1)
    weights = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(cells)[None, :])).astype(np.float32)
    return np.asarray(weights @ coarse @ weights.T, dtype=np.float32)


def smooth_noise(rng: np.random.Generator, cells: int, size: int) -> Floats:
    """Unit-variance noise drawn on a `cells` grid and stretched to (size, size).

    The grid, not the image, sets the detail: the same seed shows the same texture at any size.
    """
    return stretched(rng.standard_normal((cells, cells), dtype=np.float32), size)
