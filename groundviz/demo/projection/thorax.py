"""A healthy chest as a projection: what rays along the depth meet on their way, summed up.

Attenuation is the natural logarithm of what a ray loses. All of the body is soft tissue, lungs take
some of it away, and what is solid in a lung brings it back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from groundviz.demo.projection.anatomy import SIDES, Anatomy, Side, direction, lung_profile
from groundviz.demo.projection.bones import draw_bones
from groundviz.demo.projection.canvas import Canvas, smooth_noise, step
from groundviz.demo.projection.vessels import draw_vessels, hilum
from groundviz.record.types import Floats

# What the image's side of soft tissue absorbs, and the share of it that a lung full of air does not.
SOFT, AIRY = 6.5, 0.75


@dataclass(frozen=True, slots=True, eq=False)
class Chest:
    """The drawn anatomy, each array float32 (size, size).

    Attributes:
        anatomy: The measures.
        attenuation: All of it.
        plain: The attenuation of body and lungs alone, the source of scatter.
        lungs: The outline of each lung, in [0, 1].
        heart: The chord of the heart.
        air: The length of each ray within aerated lung.
        vessels: The length of each ray within the vessels of the lungs.
    """

    anatomy: Anatomy
    attenuation: Floats
    plain: Floats
    lungs: dict[Side, Floats]
    heart: Floats
    air: Floats
    vessels: Floats


def draw_chest(canvas: Canvas, anatomy: Anatomy) -> Chest:
    """Draw a healthy chest; about 6 ms at 112 by 112 pixels."""
    outward = anatomy.outward(canvas.col)
    lungs: dict[Side, Floats] = {side: lung_profile(canvas, anatomy, side) for side in SIDES}
    body = _body(canvas, anatomy, outward)
    cavity = np.minimum(_cavity(canvas, anatomy, outward), body)
    plain = SOFT * (body - AIRY * cavity)
    heart = _heart(canvas, anatomy)
    solid = np.sqrt(heart**2 + _great_vessels(canvas, anatomy) ** 2)
    air = np.maximum(cavity - solid, 0)
    vessels = draw_vessels(canvas, anatomy) * (lungs["right"] + lungs["left"])
    attenuation = SOFT * (body - AIRY * air) + AIRY * SOFT * np.minimum(vessels, air)
    attenuation = attenuation + draw_bones(canvas, anatomy) * step(body - np.float32(0.03), 0.05)
    attenuation = attenuation + _fissure(canvas, anatomy, outward) * lungs["right"]
    attenuation = attenuation - SOFT * _other_gas(canvas, anatomy)
    return Chest(
        anatomy=anatomy,
        attenuation=_float32(np.maximum(attenuation, 0)),
        plain=_float32(plain),
        lungs=lungs,
        heart=heart,
        air=_float32(air),
        vessels=_float32(vessels),
    )


def _body(canvas: Canvas, anatomy: Anatomy, outward: Floats) -> Floats:
    """Trunk and neck, shoulders and upper arms, and breasts."""
    skin = anatomy.half_width + anatomy.wall
    below = np.clip((canvas.row - np.float32(0.01)) / np.float32(0.22), 0, 1)
    half = np.float32(0.135) + np.float32(skin - 0.135) * below * below * (3 - 2 * below)
    waist = np.maximum(canvas.row - np.float32(0.45), 0)
    half = half - np.float32(0.14) * waist * waist
    deep = np.clip((canvas.row + np.float32(0.05)) / np.float32(0.60), 0, 1)
    depth = np.float32(anatomy.depth) * (np.float32(0.50) + np.float32(0.50) * deep * (2 - deep))
    across = outward / half
    trunk = depth * np.sqrt(np.maximum(1 - across * across * across, 0))
    shoulders = np.zeros_like(trunk)
    for side in SIDES:
        shoulder = (anatomy.top + 0.135, anatomy.column(side, skin + 0.005))
        # The arm hangs a little away from the trunk.
        arm = (anatomy.top + 0.33, anatomy.column(side, skin + 0.155))
        shoulders += canvas.ball(shoulder, (0.135, 0.155), 0.30) ** 3
        shoulders += canvas.ball(arm, (0.37, 0.145), 0.26, -0.36 * direction(side)) ** 3
    body = (trunk**3 + shoulders) ** np.float32(1 / 3) * _muscles(canvas, anatomy)
    return _float32(body + _breasts(canvas, anatomy))


def _muscles(canvas: Canvas, anatomy: Anatomy) -> Floats:
    """Muscle and fat lie unevenly: a factor around 1."""
    rng = np.random.default_rng([anatomy.branching, 1])
    uneven = np.float32(0.010) * smooth_noise(rng, 9, canvas.size)
    return 1 + uneven + np.float32(0.008) * smooth_noise(rng, 23, canvas.size)


def _breasts(canvas: Canvas, anatomy: Anatomy) -> Floats:
    breasts = np.zeros((canvas.size, canvas.size), np.float32)
    size = anatomy.breast
    if size > 0:
        for side in SIDES:
            row, col = anatomy.base - 0.165, anatomy.column(side, 0.60 * anatomy.half_width)
            breast = canvas.ball((row, col), (0.12 + 0.04 * size, 0.12 + 0.04 * size), 0.03 + 0.08 * size)
            # It hangs: thin above, with a sharp fold below.
            breasts += breast * step(canvas.row - np.float32(row), 0.26)
    return breasts


def _cavity(canvas: Canvas, anatomy: Anatomy, outward: Floats) -> Floats:
    """The chords of both lungs as if no heart were there, with the thin part behind the diaphragm."""
    across = anatomy.across(outward, canvas.row)
    down = np.clip((canvas.row - np.float32(anatomy.top)) / np.float32(anatomy.base - anatomy.top), 0, 1)
    depth = np.float32(0.74 * anatomy.depth) * np.sqrt(1 - (1 - down) ** 3)
    lung = depth * np.sqrt(np.maximum(1 - across**4, 0))
    floors = [anatomy.floor(side, outward) for side in SIDES]
    floor = np.where(canvas.col < np.float32(anatomy.middle), *floors)
    above = floor - canvas.row
    # In front the diaphragm stands higher, behind it the lung reaches lower.
    over = 1 - np.float32(0.25) * np.exp(-np.maximum(above, 0) / np.float32(0.04))
    under = np.float32(0.13) * np.exp(np.minimum(above, 0) / np.float32(0.035))
    share = under + (over - under) * step(above, 0.006)
    return _float32(lung * share * (canvas.row > np.float32(anatomy.top)))


def _heart(canvas: Canvas, anatomy: Anatomy) -> Floats:
    """The chord of two ventricles, the right atrium and the base, blended."""
    scale, (row, col), (rows, cols) = anatomy.heart_scale, anatomy.heart, anatomy.heart_radius
    tall = rows * (0.6 + 0.4 * scale)
    wide = cols * scale
    chambers = (
        ((row, col), (tall, wide), -0.35),
        ((row + 0.25 * tall, col + 0.50 * wide), (0.70 * tall, 0.70 * wide), -0.55),
        ((row + 0.06 * tall, col - 0.46 * wide), (0.90 * tall, 0.62 * wide), -0.15),
        ((row - 0.62 * tall, col - 0.10 * wide), (0.75 * tall, 0.62 * wide), -0.35),
    )
    powers = [canvas.ball(centre, radius, 0.30, tilt) ** 4 for centre, radius, tilt in chambers]
    heart = np.sqrt(np.sqrt(np.add.reduce(powers)))
    floor = np.float32(anatomy.base + 0.01)
    return _float32(heart * step(floor - canvas.row, 0.02))


def _great_vessels(canvas: Canvas, anatomy: Anatomy) -> Floats:
    """Upper mediastinum: aorta, caval vein, trunk of the lung artery, and the hila's stems."""
    middle, at = anatomy.middle, anatomy.vertebra
    # Middle, radius, depth and tilt of each: ellipsoids stand in for short stretches of vessels.
    parts = (
        ((at(4.2), middle + 0.042), (0.050, 0.044), 0.16, 0.0),
        ((at(3.8), middle - 0.030), (0.170, 0.038), 0.08, 0.05),
        ((at(2.6), middle + 0.028), (0.150, 0.034), 0.08, -0.05),
        ((at(5.9), middle + 0.044), (0.085, 0.048), 0.13, -0.35),
        ((at(5.9), middle - 0.034), (0.095, 0.044), 0.10, 0.1),
    )
    stems = tuple(
        ((row + 0.005, anatomy.column(side, out - 0.010)), (0.055, 0.020), 0.05, 0.25 * sign)
        for side, sign in zip(SIDES, (1, -1), strict=True)
        for row, out in (hilum(anatomy, side),)
    )
    squares = [canvas.ball(*part) ** 2 for part in (*parts, *stems)]
    aorta = ((at(4.3), middle + 0.058), (at(8), middle + 0.050), (at(12), middle + 0.025))
    squares.append(canvas.tube(aorta, 0.033) ** 2)
    return _float32(np.sqrt(np.add.reduce(squares)))


def _fissure(canvas: Canvas, anatomy: Anatomy, outward: Floats) -> Floats:
    """The thin line between the upper and the middle lobe of the right lung, seen on edge."""
    part = outward / np.float32(anatomy.half_width)
    line = np.float32(anatomy.vertebra(7.0)) + np.float32(0.05) * (part - np.float32(0.55)) ** 2
    thick = max(0.0022, 0.5 / canvas.size)
    seen = np.exp(-(((canvas.row - line) / np.float32(thick)) ** 2)) * np.float32(0.0022 / thick)
    return _float32(seen * np.float32(0.10) * step(part - np.float32(0.35), 0.15))


def _other_gas(canvas: Canvas, anatomy: Anatomy) -> Floats:
    """The chord of the windpipe and its two bronchi, and of the stomach's bubble."""
    middle, split = anatomy.middle, anatomy.vertebra(5.3)
    carina = (split, middle - 0.006)
    windpipe = canvas.tube(((-0.05, middle), (anatomy.vertebra(3), middle), carina), 0.023)
    right = canvas.tube((carina, (split + 0.075, anatomy.column("right", 0.055))), 0.0165)
    left = canvas.tube((carina, (split + 0.070, anatomy.column("left", 0.082))), 0.0145)
    col = anatomy.column("left", 0.50 * anatomy.half_width)
    dome = float(anatomy.floor("left", np.float32(0.50 * anatomy.half_width)))
    bubble = canvas.ball((dome + 0.060, col), (0.055, anatomy.gas + 0.02), 0.12)
    # The patient stands: fluid lies flat below the gas.
    bubble = bubble * step(np.float32(dome + 0.068) - canvas.row, 0.012)
    under = step(canvas.row - anatomy.floor("left", anatomy.outward(canvas.col)) - np.float32(0.014), 0.006)
    tubes = np.maximum(np.maximum(windpipe, right * np.float32(0.8)), left * np.float32(0.8))
    # The windpipe is deeper than wide.
    return _float32(tubes * np.float32(1.5) + bubble * under)


def _float32(values: npt.NDArray[Any]) -> Floats:
    return np.asarray(values, dtype=np.float32)
