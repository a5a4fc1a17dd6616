"""What a check is: a function from a case to what came of one question, and the facts it states of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from torch import Tensor

from groundviz.errors import GroundvizError, ModelChanged, NumericalError
from groundviz.evidence.toolkit import covering
from groundviz.evidence.toolkit.cohort import Cohort
from groundviz.models.adapter.vlm import VLM
from groundviz.record.evidence import NOT_MEASURED
from groundviz.record.targets import find
from groundviz.record.types import Answer, Check, Doubles, Heatmap, Heatmaps, Prompt, Target
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
    _lattices: dict[str, tuple[covering.Lattice, ...]] = field(default_factory=dict)

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

    def lattices(self, method: str, heatmaps: Sequence[Heatmap]) -> tuple[covering.Lattice, ...]:
        """The cells of a method's map that can be covered and moved, made once for all checks.

        Raises:
            UnsupportedMethod: As in `covering.lattices`.
        """
        if method not in self._lattices:
            self._lattices[method] = covering.lattices(self.live, heatmaps)
        return self._lattices[method]


CheckFunction = Callable[[Case], Iterable[Check]]
CHECKS: Registry[CheckFunction] = Registry("check", "groundviz.evidence", facts=Facts)


def of_each_map(
    case: Case, name: str, of_map: Callable[[Case, str, Sequence[Heatmap]], Check], *, given: bool = False
) -> Iterator[Check]:
    """What came of a check of each method's map; of a map that does not allow it, why not.

    Args:
        case: Whose maps.
        name: The name that the check is registered by.
        of_map: What checks one method's map.
        given: As in `Case.maps`.
    """
    for method, heatmaps in case.maps(given=given):
        if case.live.interrupted:
            return
        try:
            yield of_map(case, method, heatmaps)
        except ModelChanged:
            raise
        except GroundvizError as error:
            yield outcome(name, NOT_MEASURED, str(error), method=method)


def scored(case: Case) -> Target:
    """What is scored where a map is put to the test: its target, or the answer to the question it is of."""
    if case.target.in_question:
        return find(case.answer)
    return case.target


def finite(scores: Tensor) -> Doubles:
    """The scores of the first target, float64 (batch,), of changed images.

    Raises:
        NumericalError: One is NaN or infinity, of which nothing follows.
    """
    found = scores[:, 0].double().cpu().numpy()
    if not np.isfinite(found).all():
        raise NumericalError(
            "The model's scores of a changed image are NaN or infinity: nothing follows from them. Load it "
            "in bfloat16 or float32."
        )
    return np.asarray(found)


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
