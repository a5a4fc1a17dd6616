"""How images are covered for deletion and insertion curves; nothing here needs torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from groundviz.evaluation.storage import specs

# A change of how curves are made is another covering.
VERSION = 1
KINDS = DELETION, INSERTION = "deletion", "insertion"
STEPS, DRAWS = 10, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Covering:
    """What curves are asked for.

    Attributes:
        covers: What covered cells show, each a kind of `groundviz.methods.toolkit.baselines.KINDS`.
        steps: How many even steps the cells are divided into.
        draws: How many random orders stand beside those of maps.
    """

    covers: tuple[str, ...]
    steps: int = STEPS
    draws: int = DRAWS

    def facts(self) -> dict[str, Any]:
        """For the file beside the curves, and for the key."""
        return {"version": VERSION, "covers": list(self.covers), "steps": self.steps, "draws": self.draws}

    @property
    def hash(self) -> str:
        """The name of the folder of these curves."""
        return specs.name_of(self.facts())

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Covering:
        """As a file says it."""
        return cls(covers=tuple(facts["covers"]), steps=facts["steps"], draws=facts["draws"])
