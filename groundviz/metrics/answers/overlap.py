"""Words that an answer and its reference share: recall, precision, F1 and BLEU."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

# Orders of BLEU that the published scripts print, each by itself.
ORDERS = (1, 2, 3)
# What smoothing gives an order without a match (method 1 of Chen and Cherry, 2014).
_EPSILON = 0.1
# What stands for zero where nothing is smoothed.
_SMALLEST = 2.2250738585072014e-308


def published_overlap(candidate: Sequence[str], reference: Sequence[str]) -> dict[str, float]:
    """Recall, precision, F1 and "exact match" of words, as the scripts of LLaVA-Med count them.

    A word that both have adds the candidate's count to the true positives, and so "left left left" recalls
    0.75 of "left lung". What they call an exact match is the number of distinct reference words that the
    candidate has, over the number of its words. Order does not matter; an empty text on either side gives
    zeros.

    >>> published_overlap("left left left".split(), "left lung".split())["recall"]
    0.75
    """
    found, wanted = Counter(candidate), Counter(reference)
    both = found.keys() & wanted.keys()
    exact = 0.0
    if found:
        exact = len(both) / found.total()
    if not both:
        return {"recall": 0.0, "precision": 0.0, "f1": 0.0, "exact": exact}
    matched = sum(found[word] for word in both)
    missing = sum(wanted[word] for word in wanted.keys() - both)
    recall, precision = matched / (matched + missing), matched / found.total()
    return {"recall": recall, "precision": precision, "f1": _f1(recall, precision), "exact": exact}


def strict_overlap(candidate: Sequence[str], reference: Sequence[str]) -> dict[str, float]:
    """Recall, precision and F1 of words, each counted as often as both have it.

    Source: Rajpurkar et al., SQuAD, 2016.

    >>> strict_overlap("left left left".split(), "left lung".split())["recall"]
    0.5
    """
    matched = (Counter(candidate) & Counter(reference)).total()
    if not matched:
        return {"recall": 0.0, "precision": 0.0, "f1": 0.0}
    recall, precision = matched / len(reference), matched / len(candidate)
    return {"recall": recall, "precision": precision, "f1": _f1(recall, precision)}


def _f1(recall: float, precision: float) -> float:
    return 2 * precision * recall / (precision + recall)


def published_bleu(candidate: Sequence[str], reference: Sequence[str], *, smooth: bool) -> dict[str, float]:
    """BLEU of each order by itself, as NLTK's `sentence_bleu` gives it for weights of 1 and 0.

    Args:
        candidate: Words.
        reference: Words.
        smooth: Whether an order without a match counts as a tenth of one, as SigPhi-Med and Med-MoE have it;
            else it counts as the smallest number there is, as LLaVA-Med has it. Without a common word all are
            0.
    """
    names = {order: f"bleu_{order}" for order in ORDERS}
    if not Counter(candidate) & Counter(reference):
        return dict.fromkeys(names.values(), 0.0)
    penalty = 1.0
    if len(candidate) <= len(reference):
        penalty = math.exp(1 - len(reference) / len(candidate))
    found = {}
    for order, name in names.items():
        ours, theirs = _runs(candidate, order), _runs(reference, order)
        matched, whole = (ours & theirs).total(), max(ours.total(), 1)
        precision = matched / whole
        if not matched:
            precision = _EPSILON / whole if smooth else _SMALLEST
        found[name] = penalty * precision
    return found


def _runs(words: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[at : at + order]) for at in range(len(words) - order + 1))
