"""Naming a part of the answer: by text, word, sentence, token or range, once or wherever it occurs.

And a part of the question, by text. Everything is found through the characters that each token wrote;
no token is ever decoded and searched, so repeated words and pieces of words cannot be confused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from groundviz.errors import TargetError
from groundviz.record.types import Answer, Foil, Ints, Prompt, Target

# Anything with a character in it, up to what ends a sentence; a full stop amid a number ends none.
_SENTENCE = re.compile(r"[^.!?;\n]*[^.!?;\n\s][^.!?;\n]*(?:[.!?;](?!\s|$)[^.!?;\n]*)*[.!?;]*")

# A comma or semicolon, with the "and" or "but" behind it, or one of these words alone.
_BETWEEN_CLAUSES = re.compile(r"\s*[,;]\s+(?:(?:and|but)\s+)?|\s+(?:and|but)\s+")


@dataclass(frozen=True, slots=True)
class Phrase:
    """A text in the answer, with which of its occurrences is meant.

    A word is not found inside a longer word: "effusion" is not in "effusions".

    >>> Phrase("effusion", "last")
    Phrase(text='effusion', occurrence='last')
    """

    text: str
    occurrence: Literal["first", "last", "all"] = "first"


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of the answer, counted from 0; negative from the end.

    >>> Sentence(-1)
    Sentence(index=-1)
    """

    index: int


@dataclass(frozen=True, slots=True)
class Question:
    """A text in the question, with which of its occurrences is meant; the whole question without a text.

    Only attention measures it: where the model looked when it read that part.

    >>> Question("nodule")
    Question(text='nodule', occurrence='first')
    """

    text: str | None = None
    occurrence: Literal["first", "last", "all"] = "first"


Named = str | int | tuple[int, int] | Phrase | Sentence | Question | Target


def find(answer: Answer, named: Named | None = None, prompt: Prompt | None = None) -> Target:
    """Find a part of `answer`, or of what was asked.

    Args:
        answer: What the model answered.
        named: None for the whole answer; a text that occurs in it (its first occurrence) or a
            `Phrase`; a `Sentence`; a token index, negative from the end; a range of token
            indices [start, stop); or a `Question`.
        prompt: What the model was given, for a `Question`.

    Raises:
        TargetError: The answer is empty, or holds no such text, sentence, token or range; or the
            question does not, or it is not known which tokens wrote it.

    >>> import numpy as np
    >>> given = Answer(text="left lung", token_ids=np.array([5, 6]), tokens=("left", "lung"),
    ...                offsets=np.array([[0, 4], [5, 9]]), logprobs=np.zeros(2, np.float32),
    ...                source="given")
    >>> find(given, "lung").tokens
    (1,)
    """
    check_named(named)
    if isinstance(named, Target):
        return named
    if isinstance(named, str | Phrase):
        return _of_text(answer, named)
    if isinstance(named, Sentence):
        return _of_sentence(answer, named)
    if isinstance(named, Question):
        return _of_question(prompt, named)
    if named is not None:
        return _labelled(answer, _range(answer, named))
    tokens = answer.spoken
    if not tokens:
        raise TargetError(
            "The answer has no words to explain: it consists of special tokens only. "
            "Ask another question, or give the answer to explain with answer='...'."
        )
    return _labelled(answer, tokens)


def check_named(named: Any) -> None:
    """Stop what cannot name a part of an answer, whatever the answer is.

    Raises:
        TargetError: It is of another kind than `find` takes.

    >>> check_named("nodule")
    """
    plain = isinstance(named, str | Phrase | Sentence | Question | Target) or named is None
    if plain or _is_index(named):
        return
    if isinstance(named, tuple) and len(named) == 2 and all(map(_is_index, named)):
        return
    raise TargetError(
        f"A target is of type {type(named).__name__}: expected a text, a Phrase, a Sentence, a Question, a "
        "token index or a range (start, stop) of them. Name a text that occurs in the answer."
    )


def _is_index(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def sentences(answer: Answer) -> list[Target]:
    """Every sentence of the answer as a target; a line or a semicolon ends one, too."""
    return _each(answer, [match.span() for match in _SENTENCE.finditer(answer.text)])


def findings(answer: Answer) -> list[Target]:
    """Every finding of a report as a target: its sentences, or the clauses of a single sentence.

    A clause ends at a comma, a semicolon, "and" or "but"; what stands in such a place within one finding,
    such as "heart and lungs", is parted, too: name the parts yourself where that matters.

    >>> import numpy as np
    >>> words = ["nodule", " right", ",", " effusion", " left"]
    >>> stops = np.cumsum([len(word) for word in words])
    >>> given = Answer(text="".join(words), token_ids=np.arange(5), tokens=tuple(words), source="given",
    ...                offsets=np.stack([stops - [len(word) for word in words], stops], axis=1),
    ...                logprobs=np.zeros(5, np.float32))
    >>> [finding.text.strip() for finding in findings(given)]
    ['nodule right', 'effusion left']
    """
    whole = sentences(answer)
    if len(whole) != 1:
        return whole
    start, stop = int(answer.offsets[whole[0].tokens[0], 0]), int(answer.offsets[whole[0].tokens[-1], 1])
    ends = [match.span() for match in _BETWEEN_CLAUSES.finditer(answer.text, start, stop)]
    starts = [start, *(end for _, end in ends)]
    stops = [*(begin for begin, _ in ends), stop]
    return _each(answer, list(zip(starts, stops, strict=True)))


def _each(answer: Answer, spans: Sequence[tuple[int, int]]) -> list[Target]:
    """A target for each run of characters that some token wrote a part of."""
    found = []
    for start, stop in spans:
        tokens = _inside(answer, start, stop)
        # Characters that no token wrote are no target.
        if tokens:
            found.append(_labelled(answer, tokens))
    return found


def names_question(named: Named | list[Named] | None) -> bool:
    """Whether a part of the question is named, or is among what is named."""
    several = named
    if not isinstance(several, list):
        several = [named]  # type: ignore[list-item]
    for one in several:
        if isinstance(one, Question) or (isinstance(one, Target) and one.in_question):
            return True
    return False


def each_asked(prompt: Prompt) -> tuple[Target, ...]:
    """Every token of the question as a target of its own."""
    return tuple(Target(tokens=(index,), text=_asked_text(prompt, index)) for index in prompt.asked)


def answered(target: Target) -> Target:
    """A target that has a probability: a part of the answer.

    Raises:
        TargetError: It is a part of the question.
    """
    if target.in_question:
        raise TargetError(
            f"{target.text!r} is a part of the question, and only the answer has a probability to explain. "
            "Use attention, which measures the question, too, or name a part of the answer."
        )
    return target


def rather_than(target: Target, foil: Foil) -> Target:
    """The contrast of a target with what might have stood in its place.

    Raises:
        TargetError: The target is in several places or in the question, or the foil is the target itself.
    """
    answered(target)
    first, last = target.tokens[0], target.tokens[-1]
    if len(target.tokens) != last - first + 1:
        raise TargetError(
            f"A contrast needs one run of tokens: {target.text!r} is in several places. "
            "Name one of its occurrences."
        )
    if foil.text.strip() == target.text.strip():
        raise TargetError(
            f"There is nothing to contrast: {target.text!r} stands against itself. Name another text."
        )
    text = f"{target.text.strip()} rather than {foil.text.strip()}"
    return Target(tokens=target.tokens, text=text, foil=foil)


def _of_text(answer: Answer, named: str | Phrase) -> Target:
    phrase = named
    if isinstance(phrase, str):
        phrase = Phrase(phrase)
    places = _chosen(answer.text, phrase.text, phrase.occurrence, "answer")
    tokens = tuple(sorted({token for place in places for token in _inside(answer, *place)}))
    return _several(phrase.text, places, tokens) or _labelled(answer, tokens)


def _of_question(prompt: Prompt | None, named: Question) -> Target:
    if prompt is None or prompt.offsets is None or not prompt.asked:
        raise TargetError(
            "It is not known which tokens wrote the question: the tokenizer does not tell, or the chat "
            "template writes it in other words. Name a part of the answer."
        )
    text = named.text or prompt.question
    places = _chosen(prompt.question, text, named.occurrence, "question")
    found: set[int] = set()
    for place in places:
        # Counted back from the answer's first token, as targets of the question are.
        found.update((_writing(prompt.offsets, *place) - len(prompt.offsets)).tolist())
    tokens = tuple(index for index in prompt.asked if index in found)
    return _several(text, places, tokens) or Target(tokens=tokens, text=text)


def _asked_text(prompt: Prompt, index: int) -> str:
    """How a token of the question reads: as it stands there, or by its name where it wrote nothing."""
    if prompt.offsets is None:
        return prompt.tokens[index]
    start, stop = prompt.offsets[index]
    return prompt.question[start:stop] or prompt.tokens[index]


def _chosen(text: str, wanted: str, occurrence: str, what: str) -> list[tuple[int, int]]:
    """The places of a text that are meant.

    Raises:
        TargetError: It is nowhere.
    """
    places = list(_places(text, wanted))
    if not places:
        otherwise = ""
        if what == "answer":
            otherwise = ", or give a token index"
        raise TargetError(
            f"The {what} does not contain {wanted!r}: it reads {text!r}. "
            f"Name a text that occurs in it{otherwise}."
        )
    return {"first": places[:1], "last": places[-1:], "all": places}[occurrence]


def _several(text: str, places: list[tuple[int, int]], tokens: tuple[int, ...]) -> Target | None:
    """The target of several places; None for a single one."""
    if len(places) < 2:
        return None
    return Target(tokens=tokens, text=f"{text} ({len(places)} times)")


def _places(text: str, wanted: str) -> Iterator[tuple[int, int]]:
    """Where a text stands as words of its own, or, if nowhere, inside words."""
    if not wanted:
        return iter(())
    pattern = rf"(?<!\w){re.escape(wanted)}(?!\w)"
    # A part of a word is meant only where no word is.
    if not re.search(pattern, text):
        pattern = re.escape(wanted)
    return (match.span() for match in re.finditer(pattern, text))


def _of_sentence(answer: Answer, sentence: Sentence) -> Target:
    found = sentences(answer)
    if not -len(found) <= sentence.index < len(found):
        raise TargetError(
            f"There is no sentence {sentence.index} in the answer: it has {len(found)}. "
            "Count from 0, or from the end with -1."
        )
    return found[sentence.index]


def _inside(answer: Answer, start: int, stop: int) -> tuple[int, ...]:
    """Tokens that wrote any of the characters [start, stop)."""
    return tuple(int(i) for i in _writing(answer.offsets, start, stop))


def _writing(offsets: Ints, start: int, stop: int) -> Ints:
    begins, ends = offsets[:, 0], offsets[:, 1]
    return ((begins < stop) & (ends > start) & (ends > begins)).nonzero()[0]


def _range(answer: Answer, named: int | tuple[int, int]) -> tuple[int, ...]:
    count = len(answer.tokens)
    if isinstance(named, tuple):
        start, stop = named
    else:
        start = int(named)
        if start < 0:
            start += count
        stop = start + 1
    if not 0 <= start < stop <= count:
        raise TargetError(
            f"There is no token range {named!r} in the answer: it has {count} tokens, "
            f"0 to {count - 1}. Give an index in that range, or a text."
        )
    return tuple(range(start, stop))


def _labelled(answer: Answer, tokens: tuple[int, ...]) -> Target:
    start, stop = answer.offsets[tokens[0], 0], answer.offsets[tokens[-1], 1]
    text = answer.text[start:stop] or " ".join(answer.tokens[i] for i in tokens)
    return Target(tokens=tokens, text=text)
