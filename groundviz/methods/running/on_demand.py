"""What a live viewer measures when it is asked to: which methods are left, and the maps of one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from groundviz import models
from groundviz.methods import METHODS
from groundviz.methods.running.choose import choose
from groundviz.methods.running.more import measure_more
from groundviz.methods.running.refusals import fits
from groundviz.models.adapter.vlm import VLM
from groundviz.record.types import Record
from groundviz.runtime.identity import same_model
from groundviz.runtime.loan.progress import Tell


@dataclass(frozen=True, slots=True, eq=False)
class OnDemand:
    """The model that answered, for methods that are asked for later.

    Attributes:
        vlm: The model with its processor.
    """

    vlm: VLM

    @classmethod
    def of(cls, record: Record, model: Any, processor: Any = None) -> OnDemand:
        """The model behind a record.

        Raises:
            UnsupportedModel: It is not the model that answered, or none that can be explained.
        """
        vlm = models.resolve(model, processor)
        same_model.same_weights(record.provenance, vlm.model)
        return cls(vlm)

    def offers(self, record: Record) -> list[dict[str, str]]:
        """The methods that the record has no maps of: name, what each shows ("does"), and its cost.

        Methods that would refuse at once are left out: those that know no contrast, or no part of the
        question, where one was asked for, and those that need to know the modules of a model that
        nobody described.
        """
        held = {maps.method for maps in record.heatmaps}
        described = not self.vlm.parts().unknown
        offered = []
        for name in METHODS:
            facts = METHODS.facts(name)
            if name not in held and fits(facts, record.targets, described=described):
                offered.append({"name": name, "does": facts.shows, "cost": facts.cost})
        return offered

    def measure(self, explanation: Any, method: str, tell: Tell) -> Any:
        """The explanation with the maps of one more method, see `explain_more`."""
        return explanation.from_record(measure_more(explanation.record, self.vlm, choose(method), tell))
