"""What a live viewer measures when it is asked to: which methods are left, and the maps of one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from groundviz import models
from groundviz.methods import METHODS
from groundviz.methods.running.catalogue import documentation, explains_contrasts, stated, title
from groundviz.methods.running.choose import choose
from groundviz.methods.running.measure import explains_questions
from groundviz.methods.running.more import measure_more
from groundviz.models.adapter.vlm import VLM
from groundviz.models.families.black_box import ANY_MODEL
from groundviz.record.types import Record, Target
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
        described = {name: documentation(name) for name in METHODS if name not in held}
        return [
            {"name": name, "does": title(text), "cost": stated("Cost", text)}
            for name, text in described.items()
            if self._fits(name, text, record.targets)
        ]

    def measure(self, explanation: Any, method: str, tell: Tell) -> Any:
        """The explanation with the maps of one more method, see `explain_more`."""
        return explanation.from_record(measure_more(explanation.record, self.vlm, choose(method), tell))

    def _fits(self, name: str, text: str, targets: tuple[Target, ...]) -> bool:
        """Whether a method, of which its docstring says so much, takes the targets and the model."""
        for target in targets:
            if target.foil and not explains_contrasts(text):
                return False
            if target.in_question and not explains_questions(METHODS[name]):
                return False
        return name in ANY_MODEL or not self.vlm.parts().unknown
