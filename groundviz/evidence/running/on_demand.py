"""What a live viewer measures when it is asked to: further methods, and checks of the maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from groundviz.evidence.running.challenge import challenged
from groundviz.evidence.running.examine import names
from groundviz.evidence.toolkit.check import CHECKS
from groundviz.methods.running import on_demand
from groundviz.record.evidence import Evidence
from groundviz.record.types import Record
from groundviz.runtime.loan.progress import Tell


@dataclass(frozen=True, slots=True, eq=False)
class OnDemand(on_demand.OnDemand):
    """The model that answered, for methods and checks that are asked for later."""

    def unchallenged(self, record: Record) -> dict[str, str]:
        """What a challenge asks ("does") and its cost; empty where there is no map left to be tested."""
        if not Evidence(record).untested:
            return {}
        facts = [CHECKS.facts(name) for name in names("request")]
        asked, costs = [one.asks for one in facts], [one.cost for one in facts]
        return {"does": " ".join(asked), "cost": "; ".join(costs)}

    def challenge(self, explanation: Any, tell: Tell) -> Any:
        """The explanation with what came of the checks on request, see `groundviz.challenge`."""
        return explanation.from_record(challenged(explanation.record, self.vlm, names("request"), tell=tell))
