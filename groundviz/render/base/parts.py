"""Parts of the answer and of the question: what to call them, and which words they are made of."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from itertools import groupby

import numpy as np

from groundviz.record.targets import answered, find
from groundviz.record.types import Answer, Heatmap, Target

WHOLE = "whole answer"
_WORD = re.compile(r"\w+(?:[-'/.\u2019]\w+)*")
# Scripts that put no spaces between words: Thai to Burmese, Khmer, Japanese and Chinese.
_UNSPACED = re.compile(r"[\u0e00-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


def probability(answer: Answer, target: Target) -> float:
    """Probability of a part of the answer given what stands before it, 0 to 1.

    Raises:
        TargetError: It is a part of the question, which has none.
    """
    return math.exp(float(answer.logprobs[list(answered(target).tokens)].sum(dtype=np.float64)))


def part(answer: Answer, target: Target) -> str:
    """What to call a part of the answer, or of the question, on a label."""
    # Counted first: to list what was spoken for each of thousands of tokens takes minutes.
    starts, stops = answer.offsets.T
    spoken = len(target.tokens) == int((stops > starts).sum()) and target.tokens == answer.spoken
    if spoken and not target.foil:
        return WHOLE
    return f"{target.text.strip()}{_where(target)}"


def quoted(target: Target) -> str:
    """A part of the answer or of the question as it stands in a sentence.

    >>> quoted(Target(tokens=(-4,), text="nodule")), quoted(Target(tokens=(0,), text="yes"))
    ('“nodule” (in the question)', '“yes”')
    """
    return f"“{target.text.strip()}”{_where(target)}"


def layer_name(heatmap: Heatmap) -> str:
    """What to call the layer of a map: its place in the model where the method says so.

    >>> import groundviz
    >>> explanation = groundviz.explain("demo", np.zeros((112, 112), np.uint8), "Is there a nodule?")
    >>> layer_name(explanation.heatmap("attention", layer=2))
    'layer 2'
    """
    sites = heatmap.params.get("sites", ())
    if heatmap.layer is None or heatmap.layer >= len(sites):
        return f"layer {heatmap.layer}"
    return str(sites[heatmap.layer]).replace(".", " ")


def _where(target: Target) -> str:
    return " (in the question)" if target.in_question else ""


def percent(share: float) -> str:
    """A probability as a percentage with no more digits than it deserves.

    >>> percent(0.9731), percent(0.00002), percent(0.9999)
    ('97%', '< 1%', '> 99%')
    """
    if share < 0.01:
        return "< 1%"
    # Only what is certain is printed as 100%.
    if 0.99 < share < 1.0:
        return "> 99%"
    return f"{100 * share:.0f}%"


def emphasis(answer: Answer, targets: Iterable[Target]) -> list[tuple[str, bool]]:
    """The answer's text in stretches, each with whether it belongs to one of the targets."""
    explained = np.zeros(len(answer.text), dtype=bool)
    for target in targets:
        if target.in_question:
            continue
        for token in target.tokens:
            start, stop = answer.offsets[token]
            explained[start:stop] = True
    stretches: list[tuple[str, bool]] = []
    start = 0
    for bold, letters in groupby(explained.tolist()):
        stop = start + len(list(letters))
        stretches.append((answer.text[start:stop], bold))
        start = stop
    return stretches


def pieces(answer: Answer, target: Target) -> list[Target]:
    """The words of a part of the answer, each as a target of its own; its tokens when it is a single word."""
    # A contrast is about its part as a whole.
    if target.in_question or target.foil:
        return []
    words = list(_words(answer, target))
    if len(words) > 1:
        return words
    if len(target.tokens) == 1:
        return []
    return [find(answer, index) for index in target.tokens]


def in_order(answer: Answer) -> list[Target]:
    """The words of an answer as they were written, each as a target; none of an answer without words.

    Where a script puts no spaces between words, each of its tokens counts as one.

    >>> import groundviz
    >>> explanation = groundviz.explain("demo", np.zeros((112, 112), np.uint8), "Is there a nodule?")
    >>> [word.text for word in in_order(explanation.answer)]
    ['no']
    """
    if not answer.spoken:
        return []
    found: list[Target] = []
    for word in _words(answer, find(answer)):
        if _UNSPACED.search(word.text):
            found += [find(answer, token) for token in word.tokens]
        else:
            found.append(word)
    return found


def _words(answer: Answer, target: Target) -> Iterator[Target]:
    own = np.array(target.tokens)
    starts, stops = answer.offsets[own].T
    first, last = int(starts.min()), int(stops.max())
    # No word crosses a space, so none beyond the nearest ones can be the target's.
    while first and not answer.text[first - 1].isspace():
        first -= 1
    while last < len(answer.text) and not answer.text[last].isspace():
        last += 1
    for word in _WORD.finditer(answer.text, first, last):
        tokens = own[(starts < word.end()) & (stops > word.start())]
        if tokens.size:
            yield Target(tokens=tuple(tokens.tolist()), text=word.group())
