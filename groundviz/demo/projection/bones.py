"""The bones of a chest as attenuation: ribs, spine, clavicles, scapulae, and the heads of the arms."""

from __future__ import annotations

import numpy as np

from groundviz.demo.projection.anatomy import SIDES, Anatomy
from groundviz.demo.projection.canvas import Canvas, step
from groundviz.record.types import Floats

# What a unit of dense and of spongy bone absorbs beyond soft tissue, as a natural logarithm.
DENSE, SPONGY = 11.0, 2.5

_RIBS = 11
_RIB_RADIUS = 0.0170  # Half the height of a rib; it is flatter from front to back.
_RIB_THICKNESS = 0.021
_MARROW = 0.72  # The radius of the marrow, of the rib's.


def draw_bones(canvas: Canvas, anatomy: Anatomy) -> Floats:
    """The attenuation of all bones, float32 (size, size)."""
    outward = anatomy.outward(canvas.col)
    bones = _spine(canvas, anatomy)
    for number in range(1, _RIBS + 1):
        rows, arc = _rib(canvas, anatomy, outward, number)
        bones[rows] += arc
    bones += _clavicles(canvas, anatomy, outward)
    bones += _scapulae(canvas, anatomy, outward)
    return np.asarray(bones * np.float32(anatomy.bone), dtype=np.float32)


def _rib(canvas: Canvas, anatomy: Anatomy, outward: Floats, number: int) -> tuple[slice, Floats]:
    """A tube swept along a tilted half-ellipse: flat behind, steep at the side, back towards the front.

    Returns:
        The rows that it crosses, and its attenuation there, float32 (rows, size).
    """
    start, drop = anatomy.vertebra(number), min(0.038 + 0.013 * number, 0.135)
    width = max(float(anatomy.cage(np.float32(start + drop))), 0.45 * anatomy.half_width) + 0.006
    rows, strip = canvas.part(start - 0.03, start + 2 * drop + 0.03)
    # Ribs follow the cage, also where it narrows.
    across = outward / np.maximum(anatomy.cage(strip.row) + np.float32(0.006), np.float32(0.8 * width))
    along = (strip.row - np.float32(start + drop)) / np.float32(drop)
    # The distance from the ellipse, to first order.
    steepness = 2 * np.hypot(across / np.float32(width), along / np.float32(drop)) + np.float32(1e-3)
    off = (across * across + along * along - 1) / steepness
    # At the side a rib shows its thin edge; the first one is small.
    sine = np.minimum(across * across, np.float32(1))
    off = off / ((1 - np.float32(0.40) * sine) * np.float32(0.8 if number == 1 else 1.0))
    solid = _tube(off, _RIB_RADIUS) - np.float32(0.75) * _tube(off, _RIB_RADIUS * _MARROW)
    # In front, cartilage goes on where the bone ends.
    bony = 0.42 + 0.08 * max(number - 4, 0)
    front = step(across - np.float32(bony), 0.08)
    shown = np.where(along > 0, np.float32(0.75) * front, np.float32(1))
    rooted = step(outward - np.float32(0.03), 0.02)
    return rows, np.asarray(solid * shown * rooted * _obliquity(sine, width, drop), dtype=np.float32)


def _tube(off: Floats, radius: float) -> Floats:
    """The attenuation of a flat bar at distances from its axis."""
    left = np.maximum(1 - (off / np.float32(radius)) ** 2, 0)
    scale = DENSE * _RIB_THICKNESS * radius / _RIB_RADIUS
    return np.asarray(np.float32(scale) * np.sqrt(left), dtype=np.float32)


def _obliquity(sine: Floats, width: float, drop: float) -> Floats:
    """How much longer a ray runs in a rib that turns towards it, 1 behind and about 2 at the side."""
    seen = (1 - sine) * np.float32(width * width) + sine * np.float32(drop * drop)
    return np.sqrt(1 + np.float32(0.02) * sine / seen)


def _spine(canvas: Canvas, anatomy: Anatomy) -> Floats:
    """Vertebral bodies with gaps for the discs, their pedicles and spinous processes."""
    right = canvas.col - np.float32(anatomy.middle)
    number = (canvas.row - np.float32(anatomy.first_rib)) / np.float32(anatomy.rib_spacing)
    within = number - np.floor(number)
    half = np.float32(0.034) + np.float32(0.0011) * number
    # Each body is waisted: widest at its plates.
    plate = np.abs(within - np.float32(0.5)) * 2
    across = right / (half * (np.float32(0.92) + np.float32(0.12) * plate * plate))
    body = np.sqrt(np.maximum(1 - across**4, 0)) * np.float32(0.085 * SPONGY)
    disc = step(plate - np.float32(0.84), 0.10)
    rim = np.exp(-(((plate - np.float32(0.78)) / np.float32(0.08)) ** 2)) * np.float32(0.10)
    spine = body * (1 + rim - np.float32(0.55) * disc)
    aside = (np.abs(right) - np.float32(0.024)) / np.float32(0.009)
    pedicle = np.exp(-(((aside**2 + ((within - np.float32(0.34)) / np.float32(0.17)) ** 2) - 1) ** 2) * 3)
    process = np.exp(-((right / np.float32(0.007)) ** 2 + ((within - np.float32(0.8)) / 0.22) ** 2))
    spine = spine + np.float32(0.09) * pedicle + np.float32(0.12) * process
    return np.asarray(spine, dtype=np.float32)


def _clavicles(canvas: Canvas, anatomy: Anatomy, outward: Floats) -> Floats:
    """S-shaped tubes, thick where they meet the breastbone."""
    scale = np.float32(anatomy.half_width)
    part = outward / scale
    bend = np.float32(0.015) * np.sin(np.float32(5.4) * part - np.float32(0.5))
    axis = np.float32(anatomy.top + 0.088) - np.float32(0.105) * part - bend
    radius = np.float32(0.0145) + np.float32(0.007) * np.exp(-(((part - np.float32(0.16)) / 0.11) ** 2))
    off = (canvas.row - axis) / radius
    shell = np.sqrt(np.maximum(1 - off * off, 0))
    marrow = np.sqrt(np.maximum(1 - (off / np.float32(0.7)) ** 2, 0))
    ends = step(part - np.float32(0.13), 0.05) * step(np.float32(1.10) - part, 0.05)
    return np.asarray(np.float32(DENSE * 0.034) * (shell - np.float32(0.5) * marrow) * ends, dtype=np.float32)


def _scapulae(canvas: Canvas, anatomy: Anatomy, outward: Floats) -> Floats:
    """Thin triangular plates with thicker borders, drawn aside, and the heads of the upper arms."""
    wide, top = anatomy.half_width, anatomy.top
    # Upper inner, lower, and outer corner, as distance from the spine and row.
    corners = ((0.80 * wide, top + 0.005), (0.97 * wide, top + 0.29), (1.18 * wide, top + 0.045))
    edges = []
    # Its borders are hollow.
    outward = outward + np.float32(0.012) * np.sin((canvas.row - np.float32(top)) * np.float32(13))
    for (x, y), (x_next, y_next) in zip(corners, (*corners[1:], corners[0]), strict=True):
        length = np.hypot(x_next - x, y_next - y)
        normal = (outward - np.float32(x)) * np.float32((y_next - y) / length)
        edges.append(normal - (canvas.row - np.float32(y)) * np.float32((x_next - x) / length))
    depth = np.minimum.reduce([np.broadcast_to(e, (canvas.size, canvas.size)) for e in edges])
    plate = step(depth, 0.006) * np.float32(0.07)
    border = np.exp(-(((depth - np.float32(0.008)) / np.float32(0.007)) ** 2)) * np.float32(0.13)
    heads = np.zeros_like(plate)
    for side in SIDES:
        centre = (top + 0.055, anatomy.column(side, 1.28 * wide))
        heads += canvas.ball(centre, (0.058, 0.055), 0.10 * SPONGY)
    return np.asarray(plate + border + heads, dtype=np.float32)
