"""What a sample is asked, by the prompt of a run; no model is needed."""

from __future__ import annotations

from typing import Any

import pytest

from groundviz.datasets.sample import Sample
from groundviz.errors import OptionError
from groundviz.evaluation.cases.asked import DESCRIBE, Answers, Asked, check_prompt


def sample(**facts: Any) -> Sample:
    return Sample(sample_id="1", dataset="nih", version="1", split="", image="1.png", **facts)


BOX = sample(finding="Pleural_Thickening")
PHRASE = sample(finding="Edema", phrase="mild edema")
BRACES = sample(finding="mass", question="Is {finding} a word?")


@pytest.mark.parametrize(
    ("prompt", "asked", "text"),
    [
        (None, BOX, DESCRIBE),
        ("Is there {finding}?", BOX, "Is there Pleural Thickening?"),
        ("{question} Answer yes or no.", BRACES, "Is {finding} a word? Answer yes or no."),
        ("{finding}: {question}", BRACES, "mass: Is {finding} a word?"),
        ("Describe this X-ray.", BRACES, "Describe this X-ray."),
        ("Answer as {}: {question}", BRACES, "Answer as {}: Is {finding} a word?"),
    ],
)
def test_a_prompt_is_filled_in(prompt: str | None, asked: Sample, text: str) -> None:
    assert Asked(methods={}, prompt=check_prompt(prompt)).question(asked) == text


def test_a_phrase_is_the_answer_unless_its_finding_is_asked_for() -> None:
    asked = Asked(methods={}, prompt="Is there {finding}?")
    assert Asked(methods={}).given(PHRASE) == "mild edema"
    assert asked.given(PHRASE) is None
    assert Asked(methods={}, prompt=asked.prompt, answers="reference").given(PHRASE) == "mild edema"


def test_what_cannot_be_asked_says_why() -> None:
    asked = Asked(methods={}, prompt="Is there {finding}?")
    assert "{finding}" in asked.refusal(sample(question="Is it normal?"))
    assert asked.refusal(BOX) == ""
    assert "no reference" in Asked(methods={}, answers="reference").refusal(BOX)


@pytest.mark.parametrize("answers", ["generated", "reference"])
def test_an_answer_is_not_held_against_a_question_that_it_does_not_belong_to(answers: Answers) -> None:
    plain, finding = (
        Asked(methods={}, answers=answers, prompt=prompt) for prompt in (None, "Is there {finding}?")
    )
    answered = sample(finding="mass", answer="yes", answer_type="closed")
    assert "not the question that it belongs to" in plain.refusal(answered)
    wrapped = Asked(methods={}, answers=answers, prompt="{question} Be brief.")
    assert wrapped.refusal(answered) == plain.refusal(answered)
    assert finding.refusal(answered) == ""
    # A report needs no question; it is asked to describe.
    report = sample(answer="Clear lungs.", answer_type="report")
    assert (plain.refusal(report), plain.describes(report)) == ("", True)
    assert not finding.describes(answered)
    assert not plain.describes(BRACES)
    assert not plain.describes(answered)


@pytest.mark.parametrize("prompt", ["Is there {findings}?", "{phrase}", " ", 3])
def test_a_prompt_that_cannot_be_filled_in_is_refused(prompt: Any) -> None:
    with pytest.raises(OptionError):
        check_prompt(prompt)
