"""Procedural chest phantoms with findings whose place is known to the pixel.

A phantom is a projection: attenuation along parallel rays through simple solids, seen by a detector.
Anatomy, findings and noise each have a random stream of their own. Leave a finding out and everything
else stays where it was: every phantom has a twin without its lesion. Patient right is image left, as
on a radiograph, and an "R" marks it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType

import numpy as np

from groundviz.demo.findings import Finding, draw_finding, sample_findings
from groundviz.demo.projection.anatomy import Anatomy, sample_anatomy
from groundviz.demo.projection.canvas import Canvas
from groundviz.demo.projection.detector import expose
from groundviz.demo.projection.thorax import draw_chest
from groundviz.record.types import Bools, Floats

SIZE = 112
# The probability of that many findings.
HOW_MANY = MappingProxyType({0: 0.33, 1: 0.56, 2: 0.11})


@dataclass(frozen=True)
class Phantom:
    """One synthetic chest image and its truth.

    Attributes:
        seed: Draws the same phantom again, at any size.
        pixels: float32 (size, size) in [0, 1].
        anatomy: The measures of the chest, healthy heart.
        findings: What is there, in reporting order.
        masks: bool (size, size) per finding, same order.
    """

    seed: int
    pixels: Floats
    anatomy: Anatomy
    findings: tuple[Finding, ...]
    masks: tuple[Bools, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the findings present."""
        return tuple(finding.name for finding in self.findings)

    def __repr__(self) -> str:
        size, found = len(self.pixels), ", ".join(self.names) or "no finding"
        return f"<Phantom: seed {self.seed}, {size} x {size} pixels, {found}>"

    def mask(self, name: str) -> Bools:
        """The mask of the finding called `name`."""
        return self.masks[self.names.index(name)]


def phantom(
    seed: int,
    *,
    size: int = SIZE,
    findings: Iterable[str] | None = None,
    without: Collection[str] = (),
    how_many: dict[int, float] | None = None,
) -> Phantom:
    """Draw the phantom of one seed.

    Args:
        seed: Any non-negative integer.
        size: Rows and columns in pixels; the image is the same at every size.
        findings: Names to put in, instead of a random choice.
        without: Names to leave out afterwards: the twin of the phantom that has them.
        how_many: Probability of 0, 1, 2, ... findings when they are chosen at random.

    >>> sick, healthy = phantom(3, findings=["nodule"]), phantom(3, findings=["nodule"], without=["nodule"])
    >>> bool((sick.pixels != healthy.pixels)[~sick.mask("nodule")].mean() < 0.02)
    True
    """
    anatomy, present = planned(seed, findings=findings, without=without, how_many=how_many)
    pixels, masks = _draw(seed, anatomy, present, size)
    return Phantom(seed=seed, pixels=pixels, anatomy=anatomy, findings=present, masks=masks)


def planned(
    seed: int,
    *,
    findings: Iterable[str] | None = None,
    without: Collection[str] = (),
    how_many: dict[int, float] | None = None,
) -> tuple[Anatomy, tuple[Finding, ...]]:
    """What a phantom is drawn from, as in `phantom`: its chest and its findings, in reporting order.

    Drawing takes some 50 times longer.

    >>> [finding.name for finding in planned(3, findings=["nodule"])[1]]
    ['nodule']
    """
    anatomy = sample_anatomy(np.random.default_rng([seed, 0]))
    # A stream of its own: the chest is the same whatever is found in it.
    choice = np.random.default_rng([seed, 1])
    present = sample_findings(choice, anatomy, findings, dict(how_many or HOW_MANY))
    return anatomy, tuple(finding for finding in present if finding.name not in without)


def _draw(
    seed: int, anatomy: Anatomy, findings: tuple[Finding, ...], size: int
) -> tuple[Floats, tuple[Bools, ...]]:
    canvas = Canvas.of_size(size)
    enlarged = any(finding.name == "cardiomegaly" for finding in findings)
    if enlarged:
        anatomy = replace(anatomy, heart_scale=anatomy.enlarged_scale)
    chest = draw_chest(canvas, anatomy)
    attenuation, masks = chest.attenuation, []
    for finding in findings:
        attenuation, mask = draw_finding(canvas, attenuation, chest, finding)
        masks.append(mask)
    return expose(canvas, attenuation, chest.plain, np.random.default_rng([seed, 2])), tuple(masks)


def with_finding(seed: int, finding: str) -> Phantom:
    """The phantom of a seed, with one finding added if it has not got it."""
    natural = phantom(seed)
    if finding in natural.names:
        return natural
    return phantom(seed, findings=[*natural.names, finding])
