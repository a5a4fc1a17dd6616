"""What made a record, and what is known about whether to believe its maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from groundviz.record.parts import brief


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """How many random draws, or other steps, a map rests on.

    Attributes:
        done: Those that were made.
        asked: Those that were asked for; more than `done` where the work was interrupted.
    """

    done: int
    asked: int

    @property
    def complete(self) -> bool:
        """Whether all were made."""
        return self.done >= self.asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question put to a model, an answer or a map, and what came of it, in one plain sentence.

    Attributes:
        name: Which check it is, such as "needs_image".
        value: What was measured, in `unit`; None where it could not be.
        reference: What the value is compared with; None where there is nothing to compare with.
        verdict: The outcome in a word or two.
        says: The outcome in one sentence.
        unit: What value and reference count.
        cost: The passes through the model that it took.
        source: Where the check comes from: a paper, or the convention that it follows.
        method: The method whose map was checked; empty where the check is of the answer or the model.
        numbers: What else was measured, by its name.
        samples: How many of its steps were made, where it has steps: fewer than asked for are partial.
    """

    name: str
    value: float | None
    reference: float | None
    verdict: str
    says: str
    unit: str = ""
    cost: str = ""
    source: str = ""
    method: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)
    samples: Samples | None = None

    @property
    def partial(self) -> bool:
        """Whether the work was interrupted."""
        return self.samples is not None and not self.samples.complete

    def __repr__(self) -> str:
        measured = ""
        if self.value is not None:
            measured = f"{self.value:.3g}"
        if measured and self.reference is not None:
            measured += f" against {self.reference:.3g}"
        method = ""
        if self.method:
            method = f"of {self.method}"
        return brief.line("Check", brief.quoted(self.name), method, brief.quoted(self.verdict), measured)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One number of a map against the truth, beside what an image-blind guess would get."""

    metric: str
    value: float
    low: float
    high: float
    n: int
    prior: float
    higher_is_better: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What made a record: enough to make it again, nothing that names a person or a place.

    Attributes:
        certificate: What came of certifying the model, see `groundviz.certify`; None if nobody asked.
        weights: A hash of every number that the model computes with, its active adapters included.
        sources: What the model was put together from, in plain words: its tower, what was merged ...
        adapters: Fingerprint of each adapter that was active while the model answered, by its name.
        generation: The settings that the answer was generated with, where they differ from greedy decoding's,
            and always the most tokens it could have; empty for a given answer.
    """

    model: str
    family: str
    weights: str
    dtype: str
    device: str
    attention: str
    seed: int
    seconds: float
    versions: Mapping[str, str]
    revision: str | None = None
    peak_bytes: int | None = None
    certificate: str | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    adapters: Mapping[str, str] = field(default_factory=dict)
    generation: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        model = f"{brief.quoted(self.model)} ({self.family})"
        adapters = brief.counted(len(self.adapters), "adapter")
        verdict = ""
        if self.certificate is not None:
            verdict = brief.quoted(self.certificate)
        ran = f"{self.dtype} on {self.device}"
        seconds = f"{self.seconds:.3g} s"
        return brief.line("Provenance", model, ran, f"seed {self.seed}", adapters, verdict, seconds)
