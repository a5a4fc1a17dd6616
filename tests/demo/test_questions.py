from __future__ import annotations

import pytest

from groundviz.demo.findings import FINDINGS
from groundviz.demo.phantoms import phantom
from groundviz.demo.questions import KINDS, NO_FINDING, NOT_SEEN, WORDINGS, ask, every_question, report, words


def test_presence_is_answered_by_what_is_there() -> None:
    drawn = phantom(5, findings=["nodule"])
    assert ask(drawn, "presence", "nodule").answer == "yes"
    assert ask(drawn, "presence", "nodule").present
    assert ask(drawn, "presence", "effusion").answer == "no"
    assert not ask(drawn, "presence", "effusion").present


@pytest.mark.parametrize("kind", ["where", "side"])
def test_what_is_absent_is_not_seen_anywhere(kind: str) -> None:
    asked = ask(phantom(5, findings=["nodule"]), kind, "pneumothorax")
    assert (asked.answer, asked.present) == (NOT_SEEN, False)


def test_place_and_side_are_those_of_the_finding() -> None:
    drawn = phantom(5, findings=["opacity"])
    (finding,) = drawn.findings
    assert ask(drawn, "where", "opacity").answer == f"{finding.side} {finding.place}"
    assert ask(drawn, "side", "opacity").answer == finding.side


def test_a_report_names_everything_in_order() -> None:
    drawn = phantom(5, findings=["effusion", "cardiomegaly", "nodule"])
    nodule, effusion, _ = drawn.findings
    expected = f"nodule in the {nodule.location} and effusion in the {effusion.location} and cardiomegaly"
    assert report(drawn) == ask(drawn, "report").answer == expected
    assert report(phantom(5, findings=[])) == NO_FINDING


@pytest.mark.parametrize(
    ("finding", "text"),
    [
        ("nodule", "Is there a nodule?"),
        ("effusion", "Is there an effusion?"),
        ("cardiomegaly", "Is there cardiomegaly?"),
    ],
)
def test_questions_are_english(finding: str, text: str) -> None:
    assert ask(phantom(5), "presence", finding).text == text


@pytest.mark.parametrize("kind", KINDS)
def test_every_wording_asks_the_same(kind: str) -> None:
    drawn = phantom(5, findings=["nodule"])
    asked = [ask(drawn, kind, "nodule", wording=number) for number in range(len(WORDINGS[kind]))]
    assert len({question.text for question in asked}) == len(WORDINGS[kind])
    assert len({question.answer for question in asked}) == 1
    assert ask(drawn, kind, "nodule", wording=len(WORDINGS[kind])) == asked[0]


def test_everything_is_asked_once() -> None:
    asked = list(every_question(phantom(5, findings=["nodule"])))
    assert len(asked) == 3 * len(FINDINGS) - 2 + 1
    assert len({(question.kind, question.finding) for question in asked}) == len(asked)
    assert not any(q.finding == "cardiomegaly" and q.kind in ("where", "side") for q in asked)


def test_the_vocabulary_covers_every_question_and_answer() -> None:
    known = set(words())
    for seed in range(60):
        for wording in range(3):
            for question in every_question(phantom(seed, size=16), wording=wording):
                text = f"{question.text} {question.answer}".lower().replace("?", " ?").replace(".", " .")
                assert set(text.split()) <= known


def test_the_vocabulary_is_sorted_and_without_doubles() -> None:
    assert list(words()) == sorted(set(words()))
