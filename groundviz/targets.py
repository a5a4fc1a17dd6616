"""Naming a part of the answer: by text, word, sentence, token or range, once or wherever it occurs.

Everything is found through the characters that each token wrote; no token is ever decoded and
searched, so repeated words and pieces of words cannot be confused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from groundviz.errors import TargetError
from groundviz.types import Answer, Rival, Target

_SENTENCE = re.compile(r"[^.!?;\n]*[^.!?;\n\s][^.!?;\n]*(?:[.!?;](?!\s|$)[^.!?;\n]*)*[.!?;]*")

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


Named = str | int | tuple[int, int] | Phrase | Sentence | Target


def find(answer: Answer, named: Named | None = None) -> Target:
    """Find a part of `answer`.

    Args:
        answer: What the model said.
        named: None for the whole answer; a text that occurs in it (its first occurrence) or a
            `Phrase`; a `Sentence`; a token index, negative from the end; or a range of token
            indices [start, stop).

    Raises:
        TargetError: The answer is empty, or holds no such text, sentence, token or range.

    >>> import numpy as np
    >>> said = Answer(text="left lung", token_ids=np.array([5, 6]), tokens=("left", "lung"),
    ...               offsets=np.array([[0, 4], [5, 9]]), logprobs=np.zeros(2, np.float32),
    ...               source="given")
    >>> find(said, "lung").tokens
    (1,)
    """
    if isinstance(named, Target):
        return named
    if isinstance(named, str | Phrase):
        return _of_text(answer, Phrase(named) if isinstance(named, str) else named)
    if isinstance(named, Sentence):
        return _of_sentence(answer, named)
    tokens = answer.spoken if named is None else _range(answer, named)
    if not tokens:
        raise TargetError(
            "The answer has no words to explain: it consists of special tokens only. "
            "Ask another question, or give the answer to explain with answer='...'."
        )
    return _labelled(answer, tokens)


def sentences(answer: Answer) -> list[Target]:
    """Every sentence of the answer as a target; a line or a semicolon ends one, too."""
    spans = [match.span() for match in _SENTENCE.finditer(answer.text)]
    found = [_inside(answer, start, stop) for start, stop in spans]
    return [_labelled(answer, tokens) for tokens in found if tokens]


def findings(answer: Answer) -> list[Target]:
    """Every finding of a report as a target: its sentences, or the clauses of a single sentence.

    A clause ends at a comma, a semicolon, "and" or "but"; what stands in such a place within one finding,
    such as "heart and lungs", is parted, too: name the parts yourself where that matters.

    >>> import numpy as np
    >>> words = ["nodule", " right", ",", " effusion", " left"]
    >>> stops = np.cumsum([len(word) for word in words])
    >>> said = Answer(text="".join(words), token_ids=np.arange(5), tokens=tuple(words), source="given",
    ...               offsets=np.stack([stops - [len(word) for word in words], stops], axis=1),
    ...               logprobs=np.zeros(5, np.float32))
    >>> [finding.text.strip() for finding in findings(said)]
    ['nodule right', 'effusion left']
    """
    whole = sentences(answer)
    if len(whole) != 1:
        return whole
    start, stop = int(answer.offsets[whole[0].tokens[0], 0]), int(answer.offsets[whole[0].tokens[-1], 1])
    ends = [match.span() for match in _BETWEEN_CLAUSES.finditer(answer.text, start, stop)]
    starts = [start, *(end for _, end in ends)]
    stops = [*(begin for begin, _ in ends), stop]
    found = [_inside(answer, *span) for span in zip(starts, stops, strict=True)]
    return [_labelled(answer, tokens) for tokens in found if tokens]


def rather_than(target: Target, rival: Rival) -> Target:
    """The contrast of a target with what might have stood in its place.

    Raises:
        TargetError: The target is in several places, or the rival is the target itself.
    """
    first, last = target.tokens[0], target.tokens[-1]
    if len(target.tokens) != last - first + 1:
        raise TargetError(
            f"A contrast needs one run of tokens: {target.text!r} is in several places. "
            "Name one of its occurrences."
        )
    if rival.text.strip() == target.text.strip():
        raise TargetError(
            f"There is nothing to contrast: {target.text!r} stands against itself. Name another text."
        )
    text = f"{target.text.strip()} rather than {rival.text.strip()}"
    return Target(tokens=target.tokens, text=text, rival=rival)


def _of_text(answer: Answer, phrase: Phrase) -> Target:
    places = list(_places(answer.text, phrase.text))
    if not places:
        raise TargetError(
            f"The answer does not contain {phrase.text!r}: it reads {answer.text!r}. "
            "Name a text that occurs in it, or give a token index."
        )
    chosen = {"first": places[:1], "last": places[-1:], "all": places}[phrase.occurrence]
    tokens = {token for start, stop in chosen for token in _inside(answer, start, stop)}
    if phrase.occurrence == "all" and len(places) > 1:
        return Target(tokens=tuple(sorted(tokens)), text=f"{phrase.text} ({len(places)} times)")
    return _labelled(answer, tuple(sorted(tokens)))


def _places(text: str, wanted: str) -> Iterator[tuple[int, int]]:
    """Where a text stands as words of its own, or, if nowhere, inside words."""
    if not wanted:
        return iter(())
    whole = rf"(?<!\w){re.escape(wanted)}(?!\w)"
    pattern = whole if re.search(whole, text) else re.escape(wanted)
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
    begins, ends = answer.offsets[:, 0], answer.offsets[:, 1]
    inside = (begins < stop) & (ends > start) & (ends > begins)
    return tuple(int(i) for i in inside.nonzero()[0])


def _range(answer: Answer, named: int | tuple[int, int]) -> tuple[int, ...]:
    count = len(answer.tokens)
    if isinstance(named, tuple):
        start, stop = named
    else:
        start = int(named) + (count if named < 0 else 0)
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
