"""The result of certifying a model and its processor: numbers, bounds and plain sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from groundviz.cards import Table, card
from groundviz.models.certification.gradient_paths import CellTrace
from groundviz.models.certification.pixel_probe import PixelTrace
from groundviz.record.types import Check

Shape = tuple[int, int]
# A certified map may be off by less than half a patch.
MOST_PATCHES = 0.5
# A rest at the border that fills no patch is in no cell: less than one patch of eight along each side.
MOST_UNCOVERED = 0.25
PASSED, OPEN = "passed", "not measured"
# What computes the cells of each stage, in words for the report.
STEPS = {
    "pixels": "processor",
    "vision": "patches",
    "projector": "projector",
    "language": "prompt",
    "cross": "cross-attention",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What a model and its processor were tested for, and what was found wrong.

    Attributes:
        model: Its public name.
        family: Name of its family.
        shapes: Rows and columns of the images it was shown.
        steps: For each stage the largest distance between a cell and the places that feed it, in patches.
        unseen: For each image the share of its pixels that no cell shows; empty if the image tokens of the
            model have no places in an image.
        checks: What was checked, each with its number, its bound and one sentence.
        seconds: How long it took.

    >>> import groundviz
    >>> certificate = groundviz.certify("demo")
    >>> certificate.passed, certificate.verdict, certificate.unseen
    (True, 'certified', (0.0, 0.0))
    """

    model: str
    family: str
    shapes: tuple[Shape, ...]
    steps: Mapping[str, float]
    unseen: tuple[float, ...]
    checks: tuple[Check, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether nothing that was measured is wrong."""
        return self.verdict == "certified"

    @property
    def verdict(self) -> str:
        """Either "certified", or in a few words what is wrong."""
        for check in self.checks:
            if check.verdict not in (PASSED, OPEN):
                return check.verdict
        return "certified"

    @property
    def says(self) -> tuple[str, ...]:
        """What was found, in plain sentences."""
        sentences = [check.says for check in self.checks]
        views = []
        # A model whose image tokens have no places has no share.
        for share, (rows, cols) in zip(self.unseen, self.shapes, strict=False):
            views.append(f"{share:.0%} of {rows} by {cols} pixels")
        if views:
            sentences.append(f"Never seen: {', '.join(views)}.")
        return tuple(sentences)

    def __repr__(self) -> str:
        name = f"{self.model!r:.60} ({self.family})"
        return f"<Certificate: {name}, {self.verdict}, {len(self.checks)} checks, {self.seconds:.1f} s>"

    def _repr_html_(self) -> str | None:
        rows = tuple((check.name, check.verdict, check.says) for check in self.checks)
        title = str(self).splitlines()[0]
        return card(Table(title=title, head=("check", "verdict", "what was found"), rows=rows))

    def __str__(self) -> str:
        head = f"{self.model} ({self.family}): {self.verdict}, in {self.seconds:.1f} s"
        return "\n".join([head, *(f"  {line}" for line in self.says)])


def geometry(steps: Mapping[str, float]) -> Check:
    """The largest error of a cell's position: the sum of the errors of all steps, in patches."""
    if not steps:
        return unmeasured(
            "geometry", "No cell was followed: the layout of the model's image inputs is not known."
        )
    total = sum(steps.values())
    parts = ", ".join(f"{STEPS[stage]} {error:.2f}" for stage, error in steps.items())
    left_out = [STEPS[stage] for stage in ("pixels", "vision", "projector") if stage not in steps]
    if not {"language", "cross"} & set(steps):
        left_out.append(STEPS["language"])
    if left_out:
        parts += f"; not followed: {', '.join(left_out)}"
    if total < MOST_PATCHES:
        verdict = PASSED
    elif math.isfinite(total):
        verdict = f"geometry off by up to {total:.1f} patches"
    else:
        verdict = "cells hold nothing of the image"
    return Check(
        name="geometry",
        value=total,
        reference=MOST_PATCHES,
        verdict=verdict,
        says=f"Maximum cell position error: {total:.2f} patches ({parts}).",
    )


def completeness(pixels: Sequence[PixelTrace], traces: Sequence[CellTrace]) -> Check:
    """Whether every cell shows one part of one image, and every pixel is in a cell."""
    unfed = astray = 0
    for trace in traces:
        unfed += trace.unfed
        astray += trace.astray
    strays = max((trace.strays for trace in pixels), default=0.0)
    if not pixels and not traces:
        return unmeasured("completeness", "No cell was followed, so none is known to lack a place.")
    wrong = []
    if unfed:
        wrong.append(f"{unfed} cells hold nothing of the image")
    if astray:
        wrong.append(f"{astray} places go into cells of another image")
    if strays:
        wrong.append(f"{strays:.1%} of the pixels are in no cell")
    return Check(
        name="completeness",
        value=float(unfed + astray + strays),
        reference=0.0,
        verdict=next(iter(wrong), PASSED),
        says=f"Without a place of its own: {', '.join(wrong) or 'nothing'}.",
    )


def coverage(uncovered: Sequence[float | None]) -> Check:
    """Whether what the processor shows the model of an image is in a cell.

    Args:
        uncovered: For each image the share of its pixels that is shown and in no cell; None if not known.
    """
    known = [share for share in uncovered if share is not None]
    if not known:
        return unmeasured("coverage", "What the processor shows of an image was not compared with the cells.")
    share = max(known)
    verdict = PASSED
    if share > MOST_UNCOVERED:
        verdict = f"{share:.0%} of an image is shown to the model and in no cell"
    return Check(
        name="coverage",
        value=share,
        reference=MOST_UNCOVERED,
        verdict=verdict,
        says=f"Shown to the model and in no cell: at most {share:.0%} of an image.",
    )


def closeness(name: str, apart: float, most: float, says: str, otherwise: str) -> Check:
    """Whether two computations of the same numbers agree up to rounding.

    Args:
        name: The name of the check.
        apart: The largest difference, relative to the spread of the numbers.
        most: The largest difference that rounding explains.
        says: What was compared, the beginning of a sentence.
        otherwise: The verdict if they differ.
    """
    verdict = otherwise
    # NaN compares as false, so it is no agreement.
    if apart <= most:
        verdict = PASSED
    return Check(
        name=name,
        value=apart,
        reference=most,
        verdict=verdict,
        says=f"{says} differ by {apart:.1g} of their spread.",
    )


def unmeasured(name: str, why: str) -> Check:
    """A check that could not be made, and why."""
    return Check(name=name, value=None, reference=None, verdict=OPEN, says=why)
