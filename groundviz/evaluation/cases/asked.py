"""What every sample of a run is asked, and what is measured of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from groundviz.datasets.sample import Sample
from groundviz.errors import OptionError
from groundviz.evaluation.cases.outcome import CONTROLS
from groundviz.methods.running.choose import Recipes
from groundviz.record.conversation import Asking, asking

Answers = Literal["generated", "reference"]
# For a sample that is a phrase of a report and a place, as those of MS-CXR: the phrase is the answer to this.
DESCRIBE = "Describe the findings."
QUESTION, FINDING = "question", "finding"
# What stands in braces in a prompt.
_FIELD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The settings that all samples of a run share.

    Attributes:
        methods: The methods with all their options.
        answers: "generated" explains what the model answers, "reference" the data set's own answer.
        controls: Of `CONTROLS`, those that are measured where a sample has a reference region.
        generation: As in `groundviz.explain`.
        system: As in `groundviz.explain`.
        prompt: What is asked, with "{question}" and "{finding}" where these stand, see `check_prompt`; the
            question alone when None.
        seed: Of everything random.
    """

    methods: Recipes
    answers: Answers = "generated"
    controls: tuple[str, ...] = CONTROLS
    generation: Mapping[str, Any] = field(default_factory=dict)
    system: str | None = None
    prompt: str | None = None
    seed: int = 0

    def question(self, sample: Sample) -> str:
        """The text that the model is asked."""
        question = sample.question or DESCRIBE
        if self.prompt is None:
            return question
        words = {QUESTION: question, FINDING: words_of(sample.finding or "")}
        # Both in one pass: a question may have braces of its own.
        return _FIELD.sub(lambda field: words[field[1]], self.prompt)

    def asking(self, sample: Sample) -> Asking:
        """What the model is asked, in the form in which models are asked.

        Raises:
            PromptError: It cannot be asked.
        """
        return asking(self.question(sample), self.system)

    def given(self, sample: Sample) -> str | None:
        """The answer that the model is to read; None where it answers itself."""
        if self.answers == "reference":
            return sample.answer or sample.phrase
        if sample.question is None and not self._asks_for_finding:
            return sample.phrase
        return None

    def describes(self, sample: Sample) -> bool:
        """Whether the sample is asked, with `DESCRIBE` in place of a question that it does not have."""
        return not sample.question and self._asks_question and not self.refusal(sample)

    def refusal(self, sample: Sample) -> str:
        """Why a sample cannot be asked; empty where it can."""
        if sample.lacks_question and self._asks_question:
            return (
                "The sample has an answer and not the question that it belongs to. Give the question, or a "
                "prompt that asks it; of a report, give 'report' as the kind of the answer."
            )
        if self.answers == "reference" and not self.given(sample):
            return "The sample has no reference answer to be explained."
        if self._asks_for_finding and not sample.finding:
            return "The prompt asks for {finding}, and the sample names none."
        return ""

    @property
    def _asks_question(self) -> bool:
        return self.prompt is None or QUESTION in _FIELD.findall(self.prompt)

    @property
    def _asks_for_finding(self) -> bool:
        return self.prompt is not None and FINDING in _FIELD.findall(self.prompt)

    def facts(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            "answers": self.answers,
            "generation": dict(self.generation),
            "system": self.system,
            "prompt": self.prompt,
            "seed": self.seed,
            "target": "the finding's words where they are in the answer, else the whole answer",
        }


def check(answers: str, controls: Iterable[str]) -> tuple[str, ...]:
    """Refuse settings that nothing knows; returns the controls in the usual order.

    Raises:
        OptionError: There is no such source of answers, or no such control.
    """
    if answers not in get_args(Answers):
        raise OptionError(f"answers={answers!r:.60}: expected 'generated' or 'reference'. Give one of these.")
    wanted = tuple(controls)
    for name in wanted:
        if name not in CONTROLS:
            raise OptionError(
                f"There is no control called {name!r:.60}: there are {', '.join(CONTROLS)}. "
                "Name some of these, or none."
            )
    return tuple(name for name in CONTROLS if name in wanted)


def check_prompt(prompt: str | None) -> str | None:
    """Refuse a prompt with a field that no sample has; one without fields asks the same of every sample.

    >>> check_prompt("Is there {finding}? Answer yes or no.")
    'Is there {finding}? Answer yes or no.'

    Raises:
        OptionError: It is no text, or has another field than question and finding.
    """
    if prompt is None:
        return None
    if not isinstance(prompt, str) or not prompt.strip():
        raise OptionError(f"prompt={prompt!r:.60}: expected a text that asks something. Give one.")
    unknown = [f"{{{name}}}" for name in _FIELD.findall(prompt) if name not in (QUESTION, FINDING)]
    if unknown:
        raise OptionError(
            f"The prompt has {', '.join(unknown)}: expected {{question}} or {{finding}}, which each sample "
            'fills in. Write, for example, "Is there {finding}?".'
        )
    return prompt


def words_of(finding: str) -> str:
    """A finding as it is read: data sets write some as names, such as "Pleural_Thickening".

    >>> words_of("Pleural_Thickening")
    'Pleural Thickening'
    """
    return finding.replace("_", " ")
