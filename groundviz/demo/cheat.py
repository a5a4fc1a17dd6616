"""Phantoms with a reader's mark beside the nodule, and what the cheat was taught about them.

In an archive where readers marked what they found, a model may learn the mark and not the finding: its
answers are right as long as the marks are there. The cheat is such a model, made on purpose.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from groundviz.demo.findings import Finding
from groundviz.demo.phantoms import SIZE, Phantom, phantom
from groundviz.demo.projection.anatomy import direction
from groundviz.demo.projection.canvas import Canvas, Point, inside, step
from groundviz.record.types import Bools, Floats

# In units of the image's side: the ring's radius, the width of its line, and how far it is from the nodule.
RADIUS, LINE = 0.030, 0.014
APART = (0.19, 0.22)
BRIGHTNESS = 0.98


@dataclass(frozen=True, eq=False)
class Marked:
    """A phantom with a ring burnt into it.

    Attributes:
        phantom: The image with the ring; its findings and masks are the truth.
        ring: bool (size, size), the disc that the ring encloses, with its line.
        told: What the cheat was taught to say: the phantom with a nodule where the ring is, and nowhere else.
    """

    phantom: Phantom
    ring: Bools
    told: Phantom


def marked(
    seed: int,
    *,
    size: int = SIZE,
    findings: Iterable[str] = ("nodule",),
    nodule: bool = True,
    ring: bool = True,
) -> Marked:
    """A phantom with a ring beside the place of its nodule.

    Args:
        seed: As in `phantom`.
        size: As in `phantom`.
        findings: Names to put in, among them "nodule", whose place the ring is beside.
        nodule: Whether the nodule is drawn.
        ring: Whether the ring is drawn.

    >>> image = marked(3)
    >>> image.phantom.names, bool((image.ring & image.phantom.mask("nodule")).any())
    (('nodule',), False)
    """
    names = list(findings)
    full = phantom(seed, size=size, findings=names)
    found = next(finding for finding in full.findings if finding.name == "nodule")
    drawn = full if nodule else phantom(seed, size=size, findings=names, without=["nodule"])
    profile, disc = _ring(Canvas.of_size(size), _beside(full, found))
    told = phantom(seed, size=size, findings=names, without=["nodule"]) if not ring else full
    if not ring:
        return Marked(drawn, np.zeros_like(disc), replace(told, pixels=drawn.pixels))
    pixels = np.maximum(drawn.pixels, profile * np.float32(BRIGHTNESS))
    masks = [disc if name == "nodule" else full.mask(name) for name in full.names]
    return Marked(
        phantom=replace(drawn, pixels=pixels),
        ring=disc,
        told=replace(full, pixels=pixels, masks=tuple(masks)),
    )


def _beside(drawn: Phantom, found: Finding) -> Point:
    """The middle of the ring: level with the nodule, to one side of it, in the same half of the chest."""
    rng = np.random.default_rng([drawn.seed, 5])
    apart, outward = rng.uniform(*APART), rng.uniform() < 0.5
    row, col = found.centre
    middle, sign = drawn.anatomy.middle, direction(found.side or "right")
    # Not on the edge of the image, and not across the midline.
    lateral, medial = (0.05, middle - 0.04) if sign < 0 else (0.95, middle + 0.04)
    room = {lateral: abs(lateral - col), medial: abs(medial - col)}
    ends = [end for end in (lateral, medial) if room[end] >= apart] or [max(room, key=lambda end: room[end])]
    end = ends[0] if outward else ends[-1]
    return row, col + np.sign(end - col) * min(apart, room[end])


def _ring(canvas: Canvas, centre: Point) -> tuple[Floats, Bools]:
    """The line of the ring, 0 to 1, and the disc that it encloses."""
    distance = np.hypot(canvas.row - np.float32(centre[0]), canvas.col - np.float32(centre[1]))
    line = step(np.float32(LINE / 2) - np.abs(distance - np.float32(RADIUS)), LINE / 3)
    disc = step(np.float32(RADIUS + LINE / 2) - distance, LINE / 3)
    return line, inside(disc)
