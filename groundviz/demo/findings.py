"""The findings that a phantom can have: six kinds, each with a place and a pixel mask."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from groundviz.demo.projection.anatomy import SIDES, ZONES, Anatomy, Side, direction, lung_profile
from groundviz.demo.projection.canvas import Canvas, Point, inside, step
from groundviz.demo.projection.thorax import AIRY, SOFT, Chest
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


def draw_finding(canvas: Canvas, attenuation: Floats, chest: Chest, finding: Finding) -> Drawn:
    """Add one finding to a drawn chest; returns the new attenuation and the finding's mask."""
    return _DRAW[finding.name](canvas, attenuation, chest, finding)


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
    """A point in one third of a lung, clear of its borders, of the hilum and of the heart."""
    start, stop = anatomy.zone_rows(zone)
    heart_row, heart_col = anatomy.heart
    # Most points are refused at most a few times.
    for _ in range(200):
        row, outward = rng.uniform(start + 0.04, stop - 0.04), rng.uniform(0.30, 0.90) * anatomy.half_width
        col, where = anatomy.column(side, outward), np.float32(outward)
        clear = abs(float(anatomy.across(where, np.float32(row)))) < 0.62
        above_floor = row < float(anatomy.floor(side, where)) - 0.06
        heart = ((row - heart_row) / (anatomy.heart_radius[0] * 1.35)) ** 2
        heart += ((col - heart_col) / (anatomy.heart_radius[1] * 1.55)) ** 2
        if clear and above_floor and heart > 1.0 and row > anatomy.top + 0.09:
            return float(row), float(col)
    # The lung has no room there: a point at its outer side will do.
    return float(start + 0.10), float(anatomy.column(side, 0.72 * anatomy.half_width))


def _nodule(canvas: Canvas, attenuation: Floats, chest: Chest, finding: Finding) -> Drawn:
    """A dense ellipsoid with two lobes."""
    radius, numbers = 0.036 * finding.extent, finding.shape
    squeeze = 0.85 + 0.3 * numbers[0]
    axes = (radius * squeeze, radius / squeeze)
    power = canvas.ball(finding.centre, axes, 1.0, np.pi * numbers[1]) ** 4
    for lobe in (2, 3):
        angle = 2 * np.pi * numbers[lobe]
        row = finding.centre[0] + 0.45 * radius * np.sin(angle)
        col = finding.centre[1] + 0.45 * radius * np.cos(angle)
        power = power + canvas.ball((row, col), (0.68 * radius, 0.68 * radius), 0.8) ** 4
    profile = np.asarray(np.minimum(np.sqrt(np.sqrt(power)), 1), dtype=np.float32)
    return attenuation + profile * np.float32(0.76 * finding.strength), inside(profile)


def _opacity(canvas: Canvas, attenuation: Floats, chest: Chest, finding: Finding) -> Drawn:
    """A ragged patch of several overlapping soft blobs, kept inside the lung."""
    radius, numbers = 0.062 * finding.extent, finding.shape
    patch = np.zeros_like(attenuation)
    for blob in range(4):
        angle = 2 * np.pi * (blob / 4 + 0.2 * numbers[blob])
        reach = radius * (0.45 + 0.4 * numbers[4 + blob])
        centre = (finding.centre[0] + reach * np.sin(angle), finding.centre[1] + reach * np.cos(angle))
        size = radius * (0.65 + 0.35 * numbers[8 + blob])
        patch = np.maximum(patch, canvas.ellipse(centre, (size, size), 0.8))
    patch = patch * chest.lungs[finding.side or "right"] * step(np.float32(0.12) - chest.heart, 0.2)
    return attenuation + patch * np.float32(0.62 * finding.strength), inside(patch)


def _effusion(canvas: Canvas, attenuation: Floats, chest: Chest, finding: Finding) -> Drawn:
    """Fluid in the base of one lung, its surface rising towards the chest wall: air gives way to it."""
    side, anatomy = finding.side or "right", chest.anatomy
    outward = anatomy.outward(canvas.col)
    across = np.clip(2 * outward / np.float32(anatomy.half_width) - 1, -1, 1)
    level = float(anatomy.floor(side, np.float32(0.45 * anatomy.half_width))) - 0.035 * finding.extent
    surface = np.float32(level) - np.float32(0.05) * np.maximum(across, 0) ** 2
    here = (canvas.col - np.float32(anatomy.middle)) * direction(side) > 0
    profile = step(canvas.row - surface, 0.025) * here
    # It also fills what reaches down behind the diaphragm.
    fluid = np.float32(AIRY * SOFT) * np.maximum(chest.air - chest.vessels, 0)
    return attenuation + profile * fluid, inside(profile * chest.lungs[side])


def _pneumothorax(canvas: Canvas, attenuation: Floats, chest: Chest, finding: Finding) -> Drawn:
    """Air between chest wall and a lung that has shrunk away from the apex, with its pleural line."""
    side, anatomy = finding.side or "right", chest.anatomy
    gap = 0.075 * finding.extent
    shrunk = lung_profile(
        canvas, replace(anatomy, top=anatomy.top + gap, half_width=anatomy.half_width - 0.5 * gap), side
    )
    upper = step(np.float32(anatomy.top + 0.30) - canvas.row, 0.08)
    within = chest.lungs[side] * upper
    air = within * (1 - shrunk)
    pleura = np.float32(4) * shrunk * (1 - shrunk) * within
    # No vessel and no lung tissue is left there.
    lost = np.float32(AIRY * SOFT) * np.minimum(chest.vessels, chest.air)
    lost = lost + np.float32((1 - AIRY) * SOFT) * chest.air + np.float32(0.15 * finding.strength)
    return attenuation - air * lost + pleura * np.float32(0.35 * finding.strength), inside(air)


def _cardiomegaly(canvas: Canvas, attenuation: Floats, chest: Chest, finding: Finding) -> Drawn:
    """The heart was already drawn enlarged; its outline is the mask."""
    return attenuation, np.asarray(chest.heart > 0)


def _device(canvas: Canvas, attenuation: Floats, chest: Chest, finding: Finding) -> Drawn:
    """A pacemaker: a metal can below one clavicle, its connector, and a lead into the heart."""
    anatomy, side = chest.anatomy, finding.side or "left"
    row = anatomy.top + 0.105 + 0.03 * finding.shape[0]
    outward = anatomy.half_width * (0.62 + 0.12 * finding.shape[1])
    col, size = anatomy.column(side, outward), finding.extent**0.5
    can = canvas.box((row, col), (0.034 * size, 0.043 * size), 0.12)
    header_row = row - 0.034 * size
    header = canvas.box((header_row, col), (0.016 * size, 0.032 * size), 0.3)
    tip = (anatomy.heart[0] + 0.06, anatomy.heart[1] + 0.04)
    vein = (header_row - 0.02, anatomy.column(side, 0.12))
    atrium = (anatomy.heart[0] - 0.02, anatomy.middle - 0.055)
    caval = (anatomy.vertebra(4), anatomy.middle - 0.035)
    lead = canvas.strokes(_curve(((header_row, col), vein, caval, atrium, tip)), 0.0095)
    metal = 4.5 * can + 1.8 * np.maximum(header - can, 0) + 2.2 * lead * (1 - can)
    return attenuation + np.asarray(metal, np.float32), inside(np.maximum(np.maximum(can, header), lead))


def _curve(points: tuple[Point, ...]) -> tuple[Point, ...]:
    """A smooth chain of points through the given ones: a Catmull-Rom spline of six steps each."""
    ends = np.array([points[0], *points, points[-1]])
    chain = [points[0]]
    for before, start, stop, after in zip(ends, ends[1:], ends[2:], ends[3:], strict=False):
        for t in np.arange(1, 7) / 6:
            bend = (3 * start - 3 * stop + after - before) * t + 2 * before - 5 * start + 4 * stop - after
            row, col = start + t / 2 * (stop - before + t * bend)
            chain.append((float(row), float(col)))
    return tuple(chain)


_DRAW = {
    "nodule": _nodule,
    "opacity": _opacity,
    "effusion": _effusion,
    "pneumothorax": _pneumothorax,
    "cardiomegaly": _cardiomegaly,
    "device": _device,
}
