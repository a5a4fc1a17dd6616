"""The findings that a phantom can have: six kinds, each with a place and a pixel mask."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from groundviz.demo.anatomy import SIDES, ZONES, Anatomy, Chest, Side, direction
from groundviz.demo.canvas import Canvas, Point, inside, step
from groundviz.record.types import Bools, Floats, Ints

FINDINGS = ("nodule", "opacity", "effusion", "pneumothorax", "cardiomegaly", "device")
# Findings that are always in the same part of a side.
PLACES = {"effusion": "base", "pneumothorax": "apex", "device": "chest wall"}
# The third of a lung that such a finding takes.
_ZONE_TAKEN = {"effusion": "lower", "pneumothorax": "upper", "device": "upper"}

Drawn = tuple[Floats, Bools]


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding and where it is.

    Attributes:
        name: One of FINDINGS.
        side: "right" or "left" of the patient; None for the heart.
        place: The part of that side: "upper zone", "base", "apex", "chest wall", ...
        centre: (row, col) of its middle in [0, 1].
        extent: Its size, relative to the smallest of its kind.
        strength: Its contrast, relative to the faintest of its kind.
        shape: Numbers in [0, 1) that make its outline its own.
    """

    name: str
    side: Side | None
    place: str
    centre: Point
    extent: float
    strength: float
    shape: tuple[float, ...]

    @property
    def location(self) -> str:
        """Where it is, in words; empty for a finding without a side.

        >>> Finding("effusion", "left", "base", (0.7, 0.7), 1.0, 1.0, ()).location
        'left base'
        """
        if self.side is None:
            return ""
        return f"{self.side} {self.place}"


def sample_findings(
    rng: np.random.Generator, anatomy: Anatomy, names: Iterable[str] | None, how_many: dict[int, float]
) -> tuple[Finding, ...]:
    """Choose findings and places so that no two lie in the same third of a lung."""
    count = int(rng.choice(list(how_many), p=list(how_many.values())))
    # Drawn even if names are given, so that the random stream is the same in both cases.
    drawn = rng.permutation(len(FINDINGS))[:count]
    if names is None:
        chosen = {FINDINGS[index] for index in drawn}
    else:
        chosen = set(names)
    free = [(side, zone) for side in SIDES for zone in ZONES]
    order = rng.permutation(len(free))
    placed: dict[str, Finding] = {}
    # Findings that belong in one third of a lung choose before those that can be anywhere.
    for name in sorted(FINDINGS, key=lambda n: n not in _ZONE_TAKEN):
        # A stream for each finding, also for those left out: leaving one out does not change the others.
        own = np.random.default_rng(rng.integers(2**63))
        if name not in chosen:
            continue
        slot = None
        if name != "cardiomegaly":
            slot = _take(free, order, _ZONE_TAKEN.get(name))
        placed[name] = _place(own, anatomy, name, slot)
    return tuple(placed[name] for name in FINDINGS if name in placed)


def draw_finding(canvas: Canvas, pixels: Floats, chest: Chest, finding: Finding) -> Drawn:
    """Add one finding to a drawn chest; returns the new image and the finding's mask."""
    return _DRAW[finding.name](canvas, pixels, chest, finding)


def _take(free: list[tuple[Side, str]], order: Ints, zone: str | None) -> tuple[Side, str]:
    every: list[tuple[Side, str]] = [(side, third) for side in SIDES for third in ZONES]
    for index in order:
        slot: tuple[Side, str] = every[index]
        if slot in free and zone in (None, slot[1]):
            free.remove(slot)
            return slot
    raise ValueError("More findings were asked for than a chest has room for.")


def _place(rng: np.random.Generator, anatomy: Anatomy, name: str, slot: tuple[Side, str] | None) -> Finding:
    extent, strength = float(rng.uniform(1.0, 1.6)), float(rng.uniform(1.0, 1.6))
    side: Side | None = None
    if slot is None:
        place, centre = "heart", anatomy.heart
    else:
        side, zone = slot
        place = PLACES.get(name, f"{zone} zone")
        centre = _centre(rng, anatomy, side, zone)
    return Finding(
        name=name,
        side=side,
        place=place,
        centre=centre,
        extent=extent,
        strength=strength,
        shape=tuple(float(x) for x in rng.uniform(0, 1, 12)),
    )


def _centre(rng: np.random.Generator, anatomy: Anatomy, side: Side, zone: str) -> Point:
    """A point in one third of a lung, clear of its borders and of the heart."""
    start, stop = anatomy.zone_rows(zone)
    row_lung, col_lung = anatomy.lung_centre(side)
    rows, cols = anatomy.lung_radius()
    # Most points are refused at most a few times.
    for _ in range(200):
        row = rng.uniform(start + 0.04, stop - 0.04)
        col = col_lung + rng.uniform(-0.75, 0.75) * cols
        off_axis = (col - col_lung) / cols
        deep = ((row - row_lung) / rows) ** 2 + off_axis**2 < 0.62
        above_floor = row < anatomy.base - anatomy.dome * (1 - off_axis**2) - 0.05
        heart = ((row - anatomy.heart[0]) / (anatomy.heart_radius[0] * 1.3)) ** 2
        heart += ((col - anatomy.heart[1]) / (anatomy.heart_radius[1] * 1.3)) ** 2
        if deep and above_floor and heart > 1.0:
            return float(row), float(col)
    # The lung has no room there: a point at its outer side will do.
    return float((start + stop) / 2), float(col_lung + direction(side) * 0.35 * cols)


def _nodule(canvas: Canvas, pixels: Floats, chest: Chest, finding: Finding) -> Drawn:
    radius = 0.036 * finding.extent
    squeeze = 0.85 + 0.3 * finding.shape[0]
    axes = (radius * squeeze, radius / squeeze)
    profile = canvas.ellipse(finding.centre, axes, 0.35, np.pi * finding.shape[1])
    return pixels + profile * np.float32(0.19 * finding.strength), inside(profile)


def _opacity(canvas: Canvas, pixels: Floats, chest: Chest, finding: Finding) -> Drawn:
    """A ragged patch of several overlapping soft blobs, kept inside the lung."""
    radius, numbers = 0.062 * finding.extent, finding.shape
    patch = np.zeros_like(pixels)
    for blob in range(4):
        angle = 2 * np.pi * (blob / 4 + 0.2 * numbers[blob])
        reach = radius * (0.45 + 0.4 * numbers[4 + blob])
        centre = (finding.centre[0] + reach * np.sin(angle), finding.centre[1] + reach * np.cos(angle))
        size = radius * (0.65 + 0.35 * numbers[8 + blob])
        patch = np.maximum(patch, canvas.ellipse(centre, (size, size), 0.8))
    patch = patch * chest.lungs[finding.side or "right"] * (1 - chest.heart)
    return pixels + patch * np.float32(0.15 * finding.strength), inside(patch)


def _effusion(canvas: Canvas, pixels: Floats, chest: Chest, finding: Finding) -> Drawn:
    """Fluid in the base of one lung, its surface rising towards the chest wall."""
    side, anatomy = finding.side or "right", chest.anatomy
    outward = (canvas.col - np.float32(anatomy.lung_centre(side)[1])) / np.float32(anatomy.lung_width)
    outward = outward * np.float32(direction(side))
    depth = 0.085 * finding.extent
    surface = np.float32(anatomy.base - anatomy.dome * 0.5 - depth)
    surface = surface - np.float32(0.05) * np.clip(outward, 0, 1) ** 2
    profile = step(canvas.row - surface, 0.02) * chest.lungs[side]
    fluid = np.float32(0.40 + 0.10 * finding.strength)
    return pixels + profile * np.clip(fluid - pixels, 0, 1), inside(profile)


def _pneumothorax(canvas: Canvas, pixels: Floats, chest: Chest, finding: Finding) -> Drawn:
    """Air between chest wall and a lung that has shrunk away from the apex, with its pleural line."""
    side, anatomy = finding.side or "right", chest.anatomy
    row, col = anatomy.lung_centre(side)
    rows, cols = anatomy.lung_radius()
    gap = 0.085 * finding.extent
    inward = -direction(side) * 0.45 * gap
    shrunk = canvas.ellipse((row + gap, col + inward), (rows, cols * (1 - 0.5 * gap / cols)), 0.04)
    upper = step(np.float32(anatomy.top + 0.30) - canvas.row, 0.08)
    air = chest.lungs[side] * (1 - shrunk) * upper
    pleura = 4 * shrunk * (1 - shrunk) * upper * chest.lungs[side]
    darker = pixels * (1 - air * np.float32(0.35 + 0.2 * finding.strength))
    return darker + pleura * np.float32(0.14 * finding.strength), inside(air)


def _cardiomegaly(canvas: Canvas, pixels: Floats, chest: Chest, finding: Finding) -> Drawn:
    """The heart was already drawn enlarged; its outline is the mask."""
    return pixels, inside(chest.heart)


def _device(canvas: Canvas, pixels: Floats, chest: Chest, finding: Finding) -> Drawn:
    """A pacemaker: a metal box below one clavicle with a lead into the heart."""
    anatomy, side = chest.anatomy, finding.side or "left"
    sign = direction(side)
    row = anatomy.top + 0.085 + 0.03 * finding.shape[0]
    col = anatomy.middle + sign * anatomy.half_width * (0.62 + 0.12 * finding.shape[1])
    case = canvas.box((row, col), (0.036 * finding.extent**0.5, 0.045 * finding.extent**0.5), 0.2)
    vein = (row - 0.03, anatomy.middle + sign * 0.03)
    tip = (anatomy.heart[0] + 0.05, anatomy.heart[1] + 0.03)
    lead = canvas.strokes(((row, col), vein, (anatomy.heart[0] - 0.08, anatomy.middle), tip), 0.013)
    metal = np.maximum(case, lead * np.float32(0.75))
    return np.maximum(pixels, metal * np.float32(0.97)), inside(np.maximum(case, lead))


_DRAW = {
    "nodule": _nodule,
    "opacity": _opacity,
    "effusion": _effusion,
    "pneumothorax": _pneumothorax,
    "cardiomegaly": _cardiomegaly,
    "device": _device,
}
