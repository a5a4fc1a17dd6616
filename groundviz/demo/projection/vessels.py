"""The vessels of both lungs: trees that branch from the hila and taper, as chords of their tubes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from groundviz.demo.projection.anatomy import SIDES, Anatomy, direction
from groundviz.demo.projection.canvas import Canvas
from groundviz.record.types import Floats

# Each trunk: its angle below the outward direction, in degrees, its radius, and its start below the hilum.
_TRUNKS = (
    (-74.0, 0.0140, -0.022),
    (-48.0, 0.0120, -0.020),
    (-15.0, 0.0095, -0.006),
    (14.0, 0.0100, 0.010),
    (42.0, 0.0135, 0.018),
    (66.0, 0.0195, 0.012),
    (82.0, 0.0130, 0.040),
)
_GENERATIONS = 6
_LENGTH = 0.052
_SHORTER = 0.88
# The main branch goes nearly straight on and stays thick, the other turns aside.
_MAIN_TURN, _SIDE_TURN = (0.05, 0.42), (0.50, 1.10)
_MAIN_RADIUS, _SIDE_RADIUS = 0.84, 0.62
# The least half-width that a tube is drawn with, in pixels; thinner ones are fainter instead.
_VISIBLE = 0.6
# Few vessels lie in the plane of the image: rays run longer in them than across.
_OBLIQUE = 2.3
_CHUNK = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Branches:
    """Straight stretches of one generation, float32: start and stop (n, 2), radius at both (n,)."""

    start: Floats
    stop: Floats
    radius: Floats
    thin: Floats


def hilum(anatomy: Anatomy, side: str) -> tuple[float, float]:
    """Where the vessels of one lung come from, (row, distance from the spine); the left is higher."""
    higher = 0.018 if side == "left" else 0.0
    return anatomy.vertebra(6.3) - higher, 0.090


def draw_vessels(canvas: Canvas, anatomy: Anatomy) -> Floats:
    """The length of each ray within vessels, float32 (size, size)."""
    chords = np.zeros(canvas.size * canvas.size, np.float32)
    for branches in _grow(anatomy):
        _draw(chords, canvas, branches)
    return chords.reshape(canvas.size, canvas.size) * np.float32(_OBLIQUE)


def _grow(anatomy: Anatomy) -> list[Branches]:
    rng = np.random.default_rng(anatomy.branching)
    trunks = np.array(_TRUNKS * len(SIDES))
    signs = np.repeat([direction(side) for side in SIDES], len(_TRUNKS)).astype(float)
    roots = np.array([hilum(anatomy, side) for side in SIDES]).repeat(len(_TRUNKS), axis=0)
    cols = anatomy.middle + signs * roots[:, 1]
    start = np.stack([roots[:, 0] + trunks[:, 2], cols], axis=1)
    angle = np.radians(trunks[:, 0] + rng.uniform(-14, 14, len(trunks)))
    radius = trunks[:, 1] * rng.uniform(0.85, 1.15, len(trunks))
    grown, length = [], _LENGTH
    for _ in range(_GENERATIONS):
        reach = length * rng.uniform(0.75, 1.25, len(angle))
        ahead = np.stack([np.sin(angle), np.cos(angle) * signs], axis=1)
        stop = start + reach[:, None] * ahead
        arrays = (start, stop, radius, radius * _MAIN_RADIUS)
        grown.append(Branches(*(array.astype(np.float32) for array in arrays)))
        side = rng.choice([-1.0, 1.0], len(angle))
        main, aside = rng.uniform(*_MAIN_TURN, len(angle)), rng.uniform(*_SIDE_TURN, len(angle))
        angle = np.concatenate([angle - side * main, angle + side * aside])
        radius = np.concatenate([radius * _MAIN_RADIUS, radius * _SIDE_RADIUS])
        start, signs, length = np.tile(stop, (2, 1)), np.tile(signs, 2), length * _SHORTER
    return grown


def _draw(chords: Floats, canvas: Canvas, branches: Branches) -> None:
    """Add the branches to the flat image, each in a square window of pixels around it."""
    size, centre = canvas.size, (branches.start + branches.stop) / 2
    longest = np.abs(branches.stop - branches.start).max() / 2 + branches.radius.max()
    reach = int(np.ceil((float(longest) + _VISIBLE / size) * size)) + 1
    window = np.arange(-reach, reach + 1)
    each = max(1, _CHUNK // window.size**2)
    for first in range(0, len(centre), each):
        chunk = slice(first, first + each)
        middle = (centre[chunk] * size).astype(int)
        rows = middle[:, 0, None, None] + window[None, :, None]
        cols = middle[:, 1, None, None] + window[None, None]
        part = Branches(
            branches.start[chunk], branches.stop[chunk], branches.radius[chunk], branches.thin[chunk]
        )
        row, col = (((at + 0.5).astype(np.float32) / np.float32(size)) for at in (rows, cols))
        chord = _chords(part, row, col)
        within = (chord > 0) & (rows >= 0) & (rows < size) & (cols >= 0) & (cols < size)
        # Of two tubes that meet, the thicker counts: joints are no knots.
        np.maximum.at(chords, (rows * size + cols)[within], chord[within])


def _chords(branches: Branches, row: Floats, col: Floats) -> Floats:
    """The chord of each branch at its window's pixels, float32 (n, window, window)."""
    pixel = row[0, 1, 0] - row[0, 0, 0]
    down, right = row - branches.start[:, 0, None, None], col - branches.start[:, 1, None, None]
    axis = branches.stop - branches.start
    ahead_down, ahead_right = axis[:, 0, None, None], axis[:, 1, None, None]
    along = np.clip((down * ahead_down + right * ahead_right) / (axis**2).sum(1)[:, None, None], 0, 1)
    radius = branches.radius[:, None, None]
    radius = radius + (branches.thin[:, None, None] - radius) * along
    drawn = np.maximum(radius, np.float32(_VISIBLE) * pixel)
    square = (down - along * ahead_down) ** 2 + (right - along * ahead_right) ** 2
    left = np.maximum(drawn * drawn - square, 0)
    return np.asarray(2 * np.sqrt(left) * (radius / drawn) ** 2, dtype=np.float32)
