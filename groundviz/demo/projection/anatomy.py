"""The measures of one frontal chest, and the outlines that follow from them: rib cage, lungs, zones.

Lengths are in units of the image's side, which stands for 360 mm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from groundviz.demo.projection.canvas import Canvas, Point, Positions, inside, step
from groundviz.record.types import Floats, Ints

Side = Literal["right", "left"]
SIDES: tuple[Side, Side] = ("right", "left")
ZONES = ("upper", "middle", "lower")

# The border of a lung, and how much lower the left half of the diaphragm stands.
_LUNG_EDGE = 0.006
_LEFT_LOWER = 0.022


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
    """The measures of one chest; points are (row, col).

    Attributes:
        top: Row of the tips of the lungs.
        base: Row of the lowest lung, in the angle between ribs and diaphragm.
        half_width: From the spine to the outer border of a lung.
        middle: Column of the spine.
        taper: How fast the rib cage narrows towards the tips: 0.4 is a barrel, 0.5 a bell.
        turn: How much wider the left half looks, as in a patient who stands a little turned.
        dome: How high the right half of the diaphragm rises above `base`.
        depth: From breast to back at the spine.
        wall: Soft tissue outside the ribs.
        breast: Size of the breasts, 0 for none.
        heart: Middle of the heart.
        heart_radius: Its vertical and horizontal half-axis.
        first_rib: Row where the first rib meets the spine.
        rib_spacing: From one vertebra to the next.
        bone: How dense the bones are.
        branching: The seed of the vessels.
        gas: Width of the stomach's bubble.
        enlarged_scale: How much wider the heart is if it is enlarged.
        heart_scale: How much wider it is drawn.
    """

    top: float
    base: float
    half_width: float
    middle: float
    taper: float
    turn: float
    dome: float
    depth: float
    wall: float
    breast: float
    heart: Point
    heart_radius: Point
    first_rib: float
    rib_spacing: float
    bone: float
    branching: int
    gas: float
    enlarged_scale: float
    heart_scale: float = 1.0

    def zone_rows(self, zone: str) -> tuple[float, float]:
        """First and last row of the upper, middle or lower third of the lungs."""
        third = (self.base - self.top) / 3
        index = ZONES.index(zone)
        return self.top + index * third, self.top + (index + 1) * third

    def vertebra(self, number: float) -> float:
        """The row of a thoracic vertebra, 1 to 12; the rib of that number starts there."""
        return self.first_rib + (number - 1) * self.rib_spacing

    def outward(self, col: Floats) -> Floats:
        """The distance of columns from the spine, the same on both sides of a turned patient."""
        right = col - np.float32(self.middle)
        scale = np.where(right < 0, 1 + self.turn, 1 - self.turn).astype(np.float32)
        return np.asarray(np.abs(right) * scale, dtype=np.float32)

    def column(self, side: Side, outward: float) -> float:
        """The column at a distance from the spine."""
        sign = direction(side)
        return self.middle + sign * outward / (1 - sign * self.turn)

    def cage(self, row: Positions) -> Floats:
        """Half the width of the rib cage at some rows; 0 above the lungs' tips."""
        down = np.clip((row - np.float32(self.top)) / np.float32(0.8 * (self.base - self.top)), 0, 1)
        narrow = (1 - down) ** np.float32(2.2)
        return np.asarray(
            np.float32(self.half_width) * (1 - narrow) ** np.float32(self.taper), dtype=np.float32
        )

    def across(self, outward: Positions, row: Positions) -> Floats:
        """Where points lie across their lung: -1 at the mediastinum, 1 at the ribs, for any rows."""
        outer = self.cage(row)
        tip = np.exp(-np.maximum(row - np.float32(self.top), 0) / np.float32(0.03))
        inner = np.float32(0.048) + np.float32(0.060) * tip
        half = np.maximum((outer - inner) / 2, np.float32(1e-3))
        return np.asarray((outward - (outer + inner) / 2) / half, dtype=np.float32)

    def floor(self, side: Side, outward: Positions) -> Floats:
        """The row of the diaphragm: a dome that falls more steeply towards the ribs."""
        lower = _LEFT_LOWER if side == "left" else 0.0
        from_top = (2 * outward / np.float32(self.half_width) - np.float32(0.8)) / np.float32(1.2)
        rise = np.float32(self.dome - lower) * (1 - np.minimum(from_top * from_top, np.float32(1.3)))
        return np.asarray(np.float32(self.base) - rise, dtype=np.float32)


def sample_anatomy(rng: np.random.Generator) -> Anatomy:
    """Draw the measures of one person."""
    middle, half_width = rng.uniform(0.485, 0.515), rng.uniform(0.355, 0.405)
    top, base, dome = rng.uniform(0.125, 0.165), rng.uniform(0.77, 0.82), rng.uniform(0.07, 0.11)
    heart = (base - rng.uniform(0.145, 0.165), middle + rng.uniform(0.04, 0.055))
    first_rib = top - rng.uniform(0.005, 0.03)
    # From nine to ten and a half ribs stand above the diaphragm of who breathes in well.
    ribs_above = rng.uniform(8.9, 10.4)
    breast = rng.uniform(-0.9, 1.0)
    return Anatomy(
        top=top,
        base=base,
        half_width=half_width,
        middle=middle,
        taper=rng.uniform(0.40, 0.50),
        turn=rng.uniform(-0.05, 0.05),
        dome=dome,
        depth=rng.uniform(0.50, 0.60),
        wall=rng.uniform(0.032, 0.06),
        breast=max(breast, 0.0),
        heart=heart,
        heart_radius=(rng.uniform(0.125, 0.145), half_width * rng.uniform(0.33, 0.38)),
        first_rib=first_rib,
        rib_spacing=(base - dome - first_rib) / (ribs_above - 1),
        bone=rng.uniform(0.85, 1.15),
        branching=int(rng.integers(2**31)),
        gas=rng.uniform(0.03, 0.07),
        enlarged_scale=rng.uniform(1.5, 1.75),
    )


def lung_profile(canvas: Canvas, anatomy: Anatomy, side: Side) -> Floats:
    """The outline of one lung above the diaphragm, heart or no heart."""
    outward = anatomy.outward(canvas.col)
    across = anatomy.across(outward, canvas.row)
    within = step((1 - np.abs(across)) * np.float32(0.15), _LUNG_EDGE)
    above = step(anatomy.floor(side, outward) - canvas.row, _LUNG_EDGE)
    here = (canvas.col - np.float32(anatomy.middle)) * direction(side) > 0
    below_tip = canvas.row > np.float32(anatomy.top)
    return np.asarray(within * above * here * below_tip, dtype=np.float32)


def zone_map(canvas: Canvas, anatomy: Anatomy) -> Ints:
    """The lung zone of every pixel, int64 (size, size): 0 outside, then right and left, top to bottom."""
    zones = np.zeros((canvas.row.size, canvas.col.size), np.int64)
    for s, side in enumerate(SIDES):
        within = inside(lung_profile(canvas, anatomy, side))
        for z, zone in enumerate(ZONES):
            start, stop = anatomy.zone_rows(zone)
            zones[within & (canvas.row >= start) & (canvas.row < stop)] = 1 + 3 * s + z
    return zones
