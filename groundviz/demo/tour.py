"""The questions that `groundviz demo` asks, of phantoms the demo model was not trained on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from groundviz.demo.questions import Question, ask
from groundviz.demo.samples import SAMPLES, to_levels
from groundviz.explain import explain
from groundviz.explanation import Explanation

# Sample image, kind of question, finding: some are there, some are not.
STOPS = (
    ("nodule", "where", "nodule"),
    ("nodule", "presence", "nodule"),
    ("nodule", "where", "effusion"),
    ("two_findings", "report", ""),
    ("two_findings", "side", "effusion"),
    ("normal", "report", ""),
    ("normal", "presence", "pneumothorax"),
)
SIZE = 336


@dataclass(frozen=True, slots=True, eq=False)
class TourAnswer:
    """One question of the tour with the model's answer.

    Attributes:
        image: Name of the sample image.
        question: What was asked, and the true answer.
        explanation: The model's answer and its maps.
    """

    image: str
    question: Question
    explanation: Explanation

    @property
    def right(self) -> bool:
        """Whether the answer is the true one, word for word."""
        return self.explanation.answer.text == self.question.answer


def tour(model: Any) -> Iterator[TourAnswer]:
    """Ask a model everything on the tour, one question at a time.

    Args:
        model: The demo model, as `groundviz.load` returns it.

    >>> from groundviz import load
    >>> next(tour(load("demo"))).question.text
    'Where is the nodule?'
    """
    samples = {sample.name: sample for sample in SAMPLES}
    for name, kind, finding in STOPS:
        sample = samples[name]
        drawn = sample.draw_at(SIZE)
        question = ask(drawn, kind, finding)
        explanation = explain(model, to_levels(drawn.pixels, 8), question.text)
        yield TourAnswer(name, question, explanation)
