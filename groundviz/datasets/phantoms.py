"""Chest phantoms as a data set: drawn when they are needed, offline, with every region known to the pixel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from groundviz.datasets.card import DATASETS
from groundviz.datasets.choices import Identities, several
from groundviz.datasets.sample import Dataset, Region, Sample
from groundviz.demo.findings import FINDINGS, Finding
from groundviz.demo.phantoms import SIZE, Phantom, phantom, planned
from groundviz.demo.questions import KINDS, Question, ask
from groundviz.errors import OptionError
from groundviz.record.types import Floats

VERSION = "1"
# The demo models were trained on seeds below 10 000 000; the sample images have those from 20 000 000 on.
FIRST_SEED = 30_000_000
LARGEST = 4096
_ANSWER_TYPES: dict[str, Any] = {"presence": "closed", "where": "open", "side": "open", "report": "report"}


@lru_cache(maxsize=8)
def _phantom(seed: int, size: int) -> Phantom:
    """Drawing takes a tenth of a second; the samples of an image follow each other."""
    return phantom(seed, size=size)


@dataclass(frozen=True)
class DrawnMask:
    """The mask of a finding, drawn when it is asked for: `numpy.asarray` gives bool (size, size)."""

    seed: int
    size: int
    finding: str

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        # A copy, whatever is asked for: what is kept must not be changed.
        return np.array(_phantom(self.seed, self.size).mask(self.finding), dtype=dtype or bool)


@dataclass(frozen=True)
class DrawnImages:
    """The images of phantoms, by their names, such as "30000000@112"."""

    def __call__(self, image: str) -> Floats:
        """The phantom of a seed and a size, drawn now: float32 (size, size) in 0 to 1."""
        seed, _, size = image.partition("@")
        return _phantom(int(seed), int(size)).pixels.copy()


@dataclass(frozen=True)
class _Plan:
    """A phantom that is not drawn yet."""

    seed: int
    findings: tuple[Finding, ...]


@DATASETS.register(
    "phantoms",
    shows="Drawn chest images with up to two findings each, their exact masks, and questions.",
    publisher="groundviz",
    version=VERSION,
    license="Apache-2.0, as groundviz itself",
    access="they are drawn by groundviz",
    annotation="one mask for each finding, as it was drawn",
    files="nothing: they are drawn",
    contamination="The demo model was trained on phantoms of other seeds.",
    citation="groundviz",
    quirks=("They are drawings: no score on them tells anything of patients.",),
    restricted=False,
    folder=False,
)
def phantoms(
    root: Path | None,
    *,
    phantoms: int = 200,
    first_seed: int = FIRST_SEED,
    size: int = SIZE,
    kinds: Any = ("presence", "where"),
    absent: int = 1,
    wording: int = 0,
) -> Dataset:
    """The questions about a row of phantoms: about each finding that is there, and some that are not.

    A patient is a phantom. A sample has the mask of the finding it asks for; one that is absent has none; a
    report has the masks of all.

    Args:
        root: None: nothing is read.
        phantoms: How many are drawn.
        first_seed: Seed of the first; the next ones follow.
        size: Rows and columns in pixels.
        kinds: Of question, see `groundviz.demo.questions.KINDS`; "presence" and "where" unless named.
        absent: How many findings that are not there are asked for, by kind "presence", so that "yes" is not
            always right. They are drawn at random, by the phantom's seed.
        wording: Which of several wordings the questions have.

    Raises:
        OptionError: A number is out of range, or there is no such kind.
    """
    for name, value, low, high in (
        ("phantoms", phantoms, 1, 10**7),
        ("first_seed", first_seed, 0, 2**62),
        ("size", size, 16, LARGEST),
        ("absent", absent, 0, len(FINDINGS)),
        ("wording", wording, 0, 10**6),
    ):
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise OptionError(f"{name} is {value!r}: expected a whole number from {low} to {high}.")
    chosen = several("kinds", kinds, KINDS)
    identities = Identities("phantoms", VERSION)
    samples = []
    for seed in range(first_seed, first_seed + phantoms):
        _, findings = planned(seed)
        plan = _Plan(seed=seed, findings=findings)
        for question in _questions(plan, chosen, absent, wording):
            samples.append(_sample(plan, question, size, identities))
    return Dataset(name="phantoms", version=VERSION, samples=tuple(samples), root=None, opened=DrawnImages())


def _questions(plan: _Plan, kinds: tuple[str, ...], absent: int, wording: int) -> Iterator[Question]:
    there = [finding.name for finding in plan.findings]
    others = [name for name in FINDINGS if name not in there]
    # A stream of its own, beside those that draw the phantom.
    asked = np.random.default_rng([plan.seed, 3]).permutation(len(others))[:absent]
    for kind in kinds:
        if kind == "report":
            yield ask(plan, kind, wording=wording)
            continue
        for name in there:
            # The heart has no side, and is in one place.
            if kind == "presence" or name != "cardiomegaly":
                yield ask(plan, kind, name, wording=wording)
        if kind == "presence":
            for index in sorted(asked):
                yield ask(plan, kind, others[index], wording=wording)


def _sample(plan: _Plan, question: Question, size: int, identities: Identities) -> Sample:
    shown = []
    for finding in plan.findings:
        if question.finding in ("", finding.name):
            mask = DrawnMask(plan.seed, size, finding.name)
            shown.append(Region(kind="mask", data=mask, size=(size, size), label=finding.name))
    image = f"{plan.seed}@{size}"
    finding_asked = question.finding or None
    return Sample(
        sample_id=identities(image, question=question.text, finding=finding_asked),
        dataset="phantoms",
        version=VERSION,
        split="",
        image=image,
        patient=str(plan.seed),
        question=question.text,
        finding=finding_asked,
        answer=question.answer,
        answer_type=_ANSWER_TYPES[question.kind],
        regions=tuple(shown),
        facts={"kind": question.kind, "present": question.present},
    )
