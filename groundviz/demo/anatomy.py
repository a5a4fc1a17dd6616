"""A simplified frontal chest: body, lungs, ribs, clavicles, spine, heart and diaphragm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from groundviz.demo.canvas import Canvas, Point, inside, step
from groundviz.record.types import Floats, Ints

Side = Literal["right", "left"]
SIDES: tuple[Side, Side] = ("right", "left")
ZONES = ("upper", "middle", "lower")

_LETTER_R: tuple[tuple[Point, ...], ...] = (
    ((0.0, 0.0), (1.0, 0.0)),
    ((0.0, 0.0), (0.0, 0.5), (0.12, 0.68), (0.38, 0.68), (0.5, 0.5), (0.5, 0.0)),
    ((0.5, 0.3), (1.0, 0.7)),
)


def direction(side: Side) -> int:
    """The direction from the spine to that side in the image's columns, -1 or 1.

    >>> direction("right")
    -1
    """
    # The patient's right is at the left of the image, as on a radiograph.
    if side == "right":
        return -1
    return 1


@dataclass(frozen=True, slots=True)
class Anatomy:
    """The measures of one chest, in units of the image's side; (row, col) points."""

    top: float
    base: float
    half_width: float
    middle: float
    lung_width: float
    dome: float
    heart: Point
    heart_radius: Point
    rib_phase: float
    rib_count: float
    density: float
    enlarged_scale: float
    heart_scale: float = 1.0

    def lung_centre(self, side: Side) -> Point:
        """The middle of one lung."""
        col = self.middle + direction(side) * self.half_width * 0.53
        return (self.top + self.base) / 2, col

    def lung_radius(self) -> Point:
        """Vertical and horizontal half-axis of a lung."""
        return (self.base - self.top) / 2 * 1.12, self.lung_width

    def zone_rows(self, zone: str) -> tuple[float, float]:
        """First and last row of the upper, middle or lower third of the lungs."""
        third = (self.base - self.top) / 3
        index = ZONES.index(zone)
        return self.top + index * third, self.top + (index + 1) * third


@dataclass(frozen=True, slots=True, eq=False)
class Chest:
    """Profiles of the drawn anatomy, (size, size) in [0, 1], and its measures."""

    anatomy: Anatomy
    lungs: dict[Side, Floats]
    heart: Floats


def sample_anatomy(rng: np.random.Generator) -> Anatomy:
    """Draw the measures of one person."""
    middle = rng.uniform(0.485, 0.515)
    half_width = rng.uniform(0.36, 0.41)
    base = rng.uniform(0.76, 0.81)
    return Anatomy(
        top=rng.uniform(0.13, 0.17),
        base=base,
        half_width=half_width,
        middle=middle,
        lung_width=half_width * rng.uniform(0.40, 0.44),
        dome=rng.uniform(0.04, 0.08),
        heart=(base - rng.uniform(0.11, 0.14), middle + rng.uniform(0.035, 0.055)),
        heart_radius=(rng.uniform(0.13, 0.15), half_width * rng.uniform(0.33, 0.38)),
        rib_phase=rng.uniform(0, 1),
        rib_count=rng.uniform(8.0, 10.0),
        density=rng.uniform(0.9, 1.1),
        enlarged_scale=rng.uniform(1.5, 1.75),
    )


def draw_anatomy(canvas: Canvas, anatomy: Anatomy) -> tuple[Floats, Chest]:
    """Draw a healthy chest: float32 (size, size) brightness, and the profiles findings need."""
    body = canvas.ellipse((0.62, anatomy.middle), (0.72, anatomy.half_width * 1.18), 0.06)
    pixels = np.float32(0.02) + body * np.float32(0.46 * anatomy.density)
    lungs: dict[Side, Floats] = {side: _lung(canvas, anatomy, side) for side in SIDES}
    heart = _heart(canvas, anatomy)
    for side in SIDES:
        # Air is dark; ribs and vessels are brighter.
        aerated = lungs[side] * (np.float32(0.30) + _ribs(canvas, anatomy, side))
        pixels = pixels - lungs[side] * np.float32(0.36) + aerated * np.float32(0.22)
        pixels = pixels + lungs[side] * _vessels(canvas, anatomy, side)
    pixels = np.maximum(pixels, heart * np.float32(0.66 * anatomy.density))
    pixels = np.maximum(pixels, _mediastinum(canvas, anatomy) * np.float32(0.70 * anatomy.density))
    pixels = pixels + _clavicles(canvas, anatomy) * np.float32(0.10)
    return np.asarray(pixels, dtype=np.float32), Chest(anatomy, lungs, heart)


def zone_map(canvas: Canvas, anatomy: Anatomy) -> Ints:
    """The lung zone of every pixel, int64 (size, size): 0 outside, then right and left, top to bottom."""
    zones = np.zeros((canvas.row.size, canvas.col.size), np.int64)
    for s, side in enumerate(SIDES):
        within = inside(_lung(canvas, anatomy, side))
        for z, zone in enumerate(ZONES):
            start, stop = anatomy.zone_rows(zone)
            zones[within & (canvas.row >= start) & (canvas.row < stop)] = 1 + 3 * s + z
    return zones


def draw_marker(canvas: Canvas, pixels: Floats) -> Floats:
    """Print the "R" of the patient's right side in the upper left corner."""
    height, corner, reach = 0.065, (0.035, 0.04), len(pixels) // 8
    marked, patch = pixels.copy(), Canvas(canvas.row[:reach], canvas.col[:, :reach])
    for chain in _LETTER_R:
        points = tuple((corner[0] + row * height, corner[1] + col * height) for row, col in chain)
        letter = patch.strokes(points, 0.014) * np.float32(0.9)
        marked[:reach, :reach] = np.maximum(marked[:reach, :reach], letter)
    return marked


def _lung(canvas: Canvas, anatomy: Anatomy, side: Side) -> Floats:
    centre, radius = anatomy.lung_centre(side), anatomy.lung_radius()
    # The tips of both lungs lean towards the spine.
    outline = canvas.ellipse(centre, radius, 0.08, -0.10 * direction(side))
    # The diaphragm: a dome that is highest in the middle of the lung.
    across = (canvas.col - np.float32(centre[1])) / np.float32(radius[1])
    floor = np.float32(anatomy.base) - np.float32(anatomy.dome) * (1 - across * across)
    return np.asarray(outline * step(floor - canvas.row, 0.02), dtype=np.float32)


def _heart(canvas: Canvas, anatomy: Anatomy) -> Floats:
    rows, cols = anatomy.heart_radius
    scale = anatomy.heart_scale
    return canvas.ellipse(anatomy.heart, (rows * (0.6 + 0.4 * scale), cols * scale), 0.08, -0.35)


def _mediastinum(canvas: Canvas, anatomy: Anatomy) -> Floats:
    return canvas.box((0.55, anatomy.middle), (0.55, 0.066), 0.5)


def _ribs(canvas: Canvas, anatomy: Anatomy, side: Side) -> Floats:
    """Bright arcs that fall away from the spine."""
    outward = np.abs(canvas.col - np.float32(anatomy.middle)) / np.float32(anatomy.half_width)
    level = canvas.row - np.float32(0.10) * outward * outward
    wave = np.cos(np.float32(2 * np.pi) * (level * np.float32(anatomy.rib_count) + anatomy.rib_phase))
    return np.asarray(np.clip(wave - 0.35, 0, 1) * np.float32(0.5), dtype=np.float32)


def _vessels(canvas: Canvas, anatomy: Anatomy, side: Side) -> Floats:
    """Markings that fan out from the hilum and fade towards the edge."""
    row, col = anatomy.lung_centre(side)
    inward = -direction(side) * 0.55 * anatomy.lung_width
    down, right = canvas.row - np.float32(row), canvas.col - np.float32(col + inward)
    distance = np.hypot(down, right)
    turn = np.arctan2(down, right)
    fan = np.cos(turn * np.float32(9) + distance * np.float32(25)) * np.float32(0.35) + np.float32(0.65)
    near = np.exp(-((distance / np.float32(0.10)) ** 2))
    return np.asarray(fan * near * np.float32(0.10), dtype=np.float32)


def _clavicles(canvas: Canvas, anatomy: Anatomy) -> Floats:
    row = anatomy.top + 0.045
    bones = []
    for sign in (-1, 1):
        inner = (row + 0.02, anatomy.middle + sign * 0.06)
        outer = (row - 0.03, anatomy.middle + sign * anatomy.half_width * 0.98)
        bones.append(canvas.line(inner, outer, 0.026))
    return np.asarray(np.maximum(*bones), dtype=np.float32)
