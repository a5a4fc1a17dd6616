"""What a check is: a function from a case to what came of one question, and the facts it states of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from groundviz.evidence.toolkit.cohort import Cohort
from groundviz.models.adapter.vlm import VLM
from groundviz.record.targets import find
from groundviz.record.types import Answer, Check, Heatmap, Heatmaps, Prompt, Target
from groundviz.registry import Registry
from groundviz.runtime import Live

# "always" belongs to every explanation, "request" to a challenge, "cohort" to a challenge with other images.
When = Literal["always", "request", "cohort"]
COPIES = 19
# The verdict of a check that is a number and no answer.
MEASURED = "measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the registration of a check states.

    Attributes:
        asks: The question it puts, as a reader would.
        unit: What its value and its reference count.
        cost: Its passes through the model.
        source: The paper it comes from, or the convention that it follows.
        known_failure: When it is not to be believed.
        when: When it is made.
    """

    asks: str
    unit: str
    cost: str
    source: str
    known_failure: str
    when: When


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One answer of a borrowed model, its maps, and what they are to be checked with.

    Attributes:
        live: The model, which has read the prompt and the answer.
        prompt: What it was asked.
        answer: What it answered.
        targets: What was explained.
        heatmaps: The maps to be checked.
        certificate: What came of certifying the model; None if nobody asked.
        copies: How many moved copies a map is compared with.
        cohort: Other images, and what is known of the answer on them.
        places: What somebody else marked, as maps.
        replica: The model with a copy of its weights, which may be written to.
    """

    live: Live
    prompt: Prompt
    answer: Answer
    targets: tuple[Target, ...]
    heatmaps: tuple[Heatmaps, ...]
    certificate: str | None
    copies: int = COPIES
    cohort: Cohort = field(default_factory=Cohort)
    places: tuple[Heatmaps, ...] = ()
    replica: VLM | None = None

    @property
    def target(self) -> Target:
        """What was explained first: checks of maps are of its maps."""
        return self.targets[0]

    def random(self) -> np.random.Generator:
        """A random stream that depends on the seed of the explanation alone."""
        return np.random.default_rng(self.live.stream().initial_seed())

    def maps(self, *, given: bool = False) -> Iterator[tuple[str, list[Heatmap]]]:
        """By method, the maps of the target, one for each grid; not of a method whose cells are all alike.

        Args:
            given: Whether places that somebody else marked are among them, which no method can measure again.
        """
        marked = (*self.heatmaps, *self.places) if given else self.heatmaps
        for method in dict.fromkeys(maps.method for maps in marked):
            own = [maps for maps in marked if maps.method == method and maps.has(self.target)]
            found = [maps.at(self.target) for maps in own]
            if any(heatmap.has_evidence for heatmap in found):
                yield method, found


CheckFunction = Callable[[Case], Iterable[Check]]
CHECKS: Registry[CheckFunction] = Registry("check", "groundviz.evidence", facts=Facts)


def scored(case: Case) -> Target:
    """What is scored where a map is put to the test: its target, or the answer to the question it is of."""
    if case.target.in_question:
        return find(case.answer)
    return case.target


def outcome(
    name: str,
    verdict: str,
    says: str,
    *,
    value: float | None = None,
    reference: float | None = None,
    numbers: Mapping[str, float] | None = None,
    **more: Any,
) -> Check:
    """What came of a check, with the unit, cost and source that its registration states.

    Args:
        name: The name it is registered by.
        verdict: As in `Check`, as all that follow.
        says: One sentence.
        value: None where it could not be measured.
        reference: What it is compared with.
        numbers: What else was measured.
        more: The method whose map was checked, and samples.
    """
    facts = CHECKS.facts(name)
    return Check(
        name=name,
        value=value,
        reference=reference,
        verdict=verdict,
        says=says,
        unit=facts.unit,
        cost=facts.cost,
        source=facts.source,
        numbers=dict(numbers or {}),
        **more,
    )
