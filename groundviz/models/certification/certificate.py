"""What was proved about a model and its processor: numbers, bounds, plain sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from groundviz.cards import Table, card
from groundviz.models.certification.gradient_paths import Passed
from groundviz.models.certification.pixel_probe import Shown
from groundviz.record.types import Check

Shape = tuple[int, int]
MOST_PATCHES = 0.5
PASSED, OPEN = "passed", "not measured"
STEPS = {
    "pixels": "processor",
    "vision": "patches",
    "projector": "projector",
    "language": "prompt",
    "cross": "cross-attention",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What was proved about a model and its processor, and what was found wrong.

    Attributes:
        model: Its public name.
        family: Name of its family.
        shapes: Rows and columns of the images it was shown.
        steps: By stage, how far any of its cells lies from what goes into it, in patches.
        unseen: For each image the share that no cell shows.
        checks: What was looked at: each with its number, its bound, and one sentence.
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
        wrong = (check.verdict for check in self.checks if check.verdict not in (PASSED, OPEN))
        return next(wrong, "certified")

    @property
    def says(self) -> tuple[str, ...]:
        """What was found, in plain sentences."""
        shown = zip(self.unseen, self.shapes, strict=True)
        views = (f"{share:.0%} of {rows} by {cols} pixels" for share, (rows, cols) in shown)
        return *(check.says for check in self.checks), f"Never seen: {', '.join(views)}."

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
    """How far a cell may be from what it shows: no more than the errors of all steps come to."""
    total = sum(steps.values())
    parts = ", ".join(f"{STEPS[stage]} {error:.2f}" for stage, error in steps.items())
    off = (
        f"geometry off by up to {total:.1f} patches"
        if math.isfinite(total)
        else "cells hold nothing of the image"
    )
    return Check(
        name="geometry",
        value=total,
        reference=MOST_PATCHES,
        verdict=PASSED if total < MOST_PATCHES else off,
        says=f"Cells lie at most {total:.2f} patches from what they show ({parts}).",
    )


def completeness(shown: Sequence[Shown], passed: Sequence[Passed]) -> Check:
    """Whether every cell shows one part of one image, and every pixel is in a cell."""
    unfed, astray = sum(one.unfed for one in passed), sum(one.astray for one in passed)
    strays = max(one.strays for one in shown)
    found = (
        (unfed, f"{unfed} cells hold nothing of the image"),
        (astray, f"{astray} places go into cells of another image"),
        (strays, f"{strays:.1%} of the pixels are in no cell"),
    )
    wrong = [says for number, says in found if number]
    return Check(
        name="completeness",
        value=float(unfed + astray + strays),
        reference=0.0,
        verdict=wrong[0] if wrong else PASSED,
        says=f"Without a place of its own: {', '.join(wrong) or 'nothing'}.",
    )


def closeness(name: str, apart: float, most: float, says: str, otherwise: str) -> Check:
    """Whether two ways to the same numbers give them, up to rounding; `apart` relative to their spread."""
    # Written so that NaN is no agreement.
    same = apart <= most
    return Check(
        name=name,
        value=apart,
        reference=most,
        verdict=PASSED if same else otherwise,
        says=f"{says} differ by {apart:.1g} of their spread.",
    )


def unmeasured(name: str, why: str) -> Check:
    """What could not be looked at, and why."""
    return Check(name=name, value=float("nan"), reference=float("nan"), verdict=OPEN, says=why)
