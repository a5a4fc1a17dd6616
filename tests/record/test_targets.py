"""Naming parts of an answer: by characters and indices, never by searching decoded tokens."""

import numpy as np
import pytest

from groundviz.errors import TargetError
from groundviz.record.targets import (
    Phrase,
    Question,
    Sentence,
    answered,
    each_asked,
    find,
    findings,
    names_question,
    rather_than,
    sentences,
)
from groundviz.record.types import Answer, Foil, Prompt, Span, Target


def answer_of(*words):
    """An answer of these tokens; a blank before a word belongs to its token but not to its characters."""
    text = "".join(words)
    ends = np.cumsum([len(word) for word in words])
    starts = [end - len(word.lstrip()) for end, word in zip(ends, words, strict=True)]
    return Answer(
        text=text,
        token_ids=np.arange(len(words)),
        tokens=words,
        offsets=np.array([starts, ends]).T,
        logprobs=np.zeros(len(words), np.float32),
        source="given",
    )


REPORT = answer_of(
    "No", " eff", "usion", ".", " A", " nod", "ule", " of", " 3", ".", "5", " cm", ";", " no", " nod",
    "ules", " left", "\n", "Eff", "usion", " and", " eff", "usion", "."
)  # fmt: skip


def text_of(target):
    return "".join(REPORT.tokens[i] for i in target.tokens).strip()


@pytest.mark.parametrize(
    ("named", "tokens"),
    [
        ("effusion", (1, 2)),
        (Phrase("effusion"), (1, 2)),
        (Phrase("effusion", "last"), (21, 22)),
        (Phrase("effusion", "all"), (1, 2, 21, 22)),
        (Phrase("nodule", "last"), (5, 6)),
        (Phrase("nodule", "all"), (5, 6)),
        ("odul", (5, 6)),
        ("nodule of", (5, 6, 7)),
        (-1, (23,)),
        ((4, 6), (4, 5)),
    ],
)
def test_a_part_is_found_through_the_characters_its_tokens_wrote(named, tokens):
    assert find(REPORT, named).tokens == tokens


def test_every_occurrence_is_one_target_that_says_so():
    assert find(REPORT, Phrase("effusion", "all")).text == "effusion (2 times)"
    assert find(REPORT, Phrase("left", "all")).text == "left"


def test_sentences_end_at_stops_lines_and_semicolons_but_not_inside_numbers():
    found = [text_of(target) for target in sentences(REPORT)]
    assert found == ["No effusion.", "A nodule of 3.5 cm;", "no nodules left", "Effusion and effusion."]
    assert text_of(find(REPORT, Sentence(1))) == found[1]
    assert text_of(find(REPORT, Sentence(-1))) == found[3]


@pytest.mark.parametrize(
    "text",
    ["yes", "yes.", "One. Two.", "a.b c", "...", "One...  Two?!", "\n\nFindings: none\n", "1. Yes 2. No"],
)
def test_sentences_cover_every_word_once(text):
    answer = answer_of(*[word if i == 0 else f" {word}" for i, word in enumerate(text.split())])
    covered = [token for target in sentences(answer) for token in target.tokens]
    spoken = [i for i, word in enumerate(answer.tokens) if any(c.isalnum() for c in word)]
    assert set(spoken) <= set(covered)
    assert len(covered) == len(set(covered))


@pytest.mark.parametrize("named", ["mass", "", Phrase("mass", "all"), Sentence(4), Sentence(-5), 24, (3, 3)])
def test_what_is_not_there_is_an_error_that_says_what_is(named):
    with pytest.raises(TargetError):
        find(REPORT, named)


def test_a_contrast_names_both_sides():
    foil = Foil(text="pneumothorax", token_ids=(7, 8))
    target = rather_than(find(REPORT, "effusion"), foil)
    assert (target.text, target.tokens, target.foil) == ("effusion rather than pneumothorax", (1, 2), foil)


def test_a_contrast_of_a_target_in_several_places_is_refused():
    with pytest.raises(TargetError, match="one run of tokens"):
        rather_than(find(REPORT, Phrase("effusion", "all")), Foil(text="x", token_ids=(1,)))


def test_a_contrast_of_a_target_with_itself_is_refused():
    with pytest.raises(TargetError, match="stands against itself"):
        rather_than(find(REPORT, "effusion"), Foil(text=" effusion", token_ids=(1, 2)))


def test_the_findings_of_a_report_are_its_sentences():
    assert findings(REPORT) == sentences(REPORT)
    assert len(findings(REPORT)) > 1


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["effusion", " left", " and", " nodule"], [(0, 1), (3,)]),
        (["effusion", ",", " and", " nodule", ",", " small", "."], [(0,), (3,), (5, 6)]),
        (["No", " mass", ",", " but", " band", "."], [(0, 1), (4, 5)]),
        (["sand", " bands", " 1,5"], [(0, 1, 2)]),
        (["nodule"], [(0,)]),
    ],
)
def test_the_findings_of_one_sentence_are_its_clauses(words, parts):
    assert [one.tokens for one in findings(answer_of(*words))] == parts


def asked(*words, offsets=True):
    """A prompt with a start token, an image token, a question of these tokens, and two tokens behind it."""
    told = answer_of(*words)
    around = np.zeros((2, 2), np.int64)
    tokens = ("<s>", "<image>", *(f"\u0120{word.strip()}" for word in words), "assistant", ":")
    return Prompt(
        text="",
        question=told.text,
        token_ids=np.arange(len(tokens)),
        tokens=tokens,
        spans=(Span(kind="image", start=1, stop=2), Span(kind="question", start=2, stop=2 + len(words))),
        grids=(),
        offsets=np.concatenate([around, told.offsets, around]) if offsets else None,
    )


ASKED = asked("Is", " a", " nod", "ule", " in", " a", " lung", "?")


@pytest.mark.parametrize(
    ("named", "tokens", "text"),
    [
        (Question("nodule"), (-8, -7), "nodule"),
        (Question("a"), (-9,), "a"),
        (Question("a", "last"), (-5,), "a"),
        (Question("a", "all"), (-9, -5), "a (2 times)"),
        (Question("nodule in"), (-8, -7, -6), "nodule in"),
        (Question("dul"), (-8, -7), "dul"),
        (Question(), tuple(range(-10, -2)), "Is a nodule in a lung?"),
        (Question(""), tuple(range(-10, -2)), "Is a nodule in a lung?"),
    ],
)
def test_a_part_of_the_question_is_counted_back_from_the_answer(named, tokens, text):
    found = find(REPORT, named, ASKED)
    assert (found.tokens, found.text, found.in_question) == (tokens, text, True)
    assert names_question([None, named]) and names_question(found)


def test_a_part_of_the_answer_is_none_of_the_question():
    assert not find(REPORT, -1, ASKED).in_question
    assert not names_question(["effusion", -1, Phrase("effusion"), None, (0, 2), find(REPORT)])
    assert find(REPORT, "nodule", ASKED).tokens == (5, 6)


@pytest.mark.parametrize("text", ["mass", "nodules", "\x1b[2J", "\u202e", "<image>", ".*", "a" * 10_000])
def test_what_was_not_asked_is_refused_with_the_question(text):
    with pytest.raises(TargetError, match=r"question does not contain .* it reads 'Is a nodule in a lung\?'"):
        find(REPORT, Question(text), ASKED)


@pytest.mark.parametrize("prompt", [None, asked("Is", " it", offsets=False)])
def test_a_question_of_which_the_tokens_are_not_known_is_refused(prompt):
    with pytest.raises(TargetError, match="not known which tokens wrote the question"):
        find(REPORT, Question("it"), prompt)


def test_each_token_of_the_question_is_a_target():
    found = each_asked(ASKED)
    assert [target.tokens for target in found] == [(index,) for index in range(-10, -2)]
    assert [target.text for target in found] == ["Is", "a", "nod", "ule", "in", "a", "lung", "?"]
    assert [target.text for target in each_asked(asked("Is", " it", offsets=False))] == [
        "\u0120Is",
        "\u0120it",
    ]


def test_only_the_answer_has_a_probability_and_foils():
    nodule, foil = find(REPORT, Question("nodule"), ASKED), Foil(text="mass", token_ids=(1,))
    with pytest.raises(
        TargetError, match=r"'nodule' is a part of the question, and only the answer has a prob"
    ):
        answered(nodule)
    with pytest.raises(TargetError, match="only the answer has a probability"):
        rather_than(nodule, foil)
    plain = Target(tokens=(0,), text="No")
    assert answered(plain) is plain
