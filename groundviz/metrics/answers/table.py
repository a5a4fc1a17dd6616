"""Answers beside their references, scored in one way or in all, with what was dropped and why."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from groundviz.errors import OptionError, UnknownName
from groundviz.metrics.answers.scorers import SCORERS, Kind, Numbers, Scorer

# Where the kind of a question comes from.
STATED, INFERRED = "publisher", "inferred from the reference"
NO_PREDICTION, NO_REFERENCE = "no prediction", "no reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredAnswer:
    """One answer.

    Attributes:
        id: The question's.
        kind: "open" or "closed".
        score: The number that the scorer prints for this kind, from 0 to 1; NaN where it leaves the answer
            out.
        numbers: All its numbers.
        source: Where the kind comes from.
    """

    id: str
    kind: Kind
    score: float
    numbers: Numbers
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerScores:
    """Answers scored in one way.

    Attributes:
        scorer: Its name.
        answers: Those that were scored, in their order.
        dropped: {reason: how many rows are not scored, or are left out of the mean}.
        sources: {where the kind of a question comes from: how many}.
    """

    scorer: str
    answers: tuple[ScoredAnswer, ...]
    dropped: Mapping[str, int]
    sources: Mapping[str, int]

    def mean(self, kind: Kind, number: str = "") -> float:
        """The mean of a number over the answers of a kind, in percent; NaN where there is none.

        Args:
            kind: "open" or "closed".
            number: Such as "f1"; the one that the scorer prints when empty.
        """
        values = [self._value(one, number) for one in self.answers if one.kind == kind]
        known = [value for value in values if not math.isnan(value)]
        if not known:
            return float("nan")
        return 100 * math.fsum(known) / len(known)

    def count(self, kind: Kind) -> int:
        """How many answers of a kind were scored."""
        return sum(one.kind == kind for one in self.answers)

    def rows(self) -> list[dict[str, Any]]:
        """A row for each kind and number, with `n`, for a table."""
        found = []
        for kind in ("open", "closed"):
            main = _main(SCORERS[self.scorer], kind)
            here = [one for one in self.answers if one.kind == kind]
            for number in dict.fromkeys(name for one in here for name in one.numbers):
                row = {
                    "scorer": self.scorer,
                    "kind": kind,
                    "number": number,
                    "percent": self.mean(kind, number),
                }
                known = sum(not math.isnan(one.numbers[number]) for one in here)
                found.append({**row, "n": known, "printed": number == main})
        return found

    @staticmethod
    def _value(one: ScoredAnswer, number: str) -> float:
        if not number:
            return one.score
        return one.numbers[number]


def score_answers(rows: Iterable[Mapping[str, Any]], scorer: str) -> AnswerScores:
    """Score answers in one way.

    Args:
        rows: Each with "id", "prediction", "reference" and "answer_type"; numbers are taken as texts. A
            strict scorer takes a prediction that is None for wrong; the others drop it and say so.
        scorer: One of `SCORERS`.

    Raises:
        UnknownName: There is no such scorer.
        OptionError: A row lacks one of the keys, or an id stands twice.

    >>> row = {"prediction": "There is an abnormality", "reference": "no", "answer_type": "CLOSED"}
    >>> rows = [{"id": 1, **row}]
    >>> score_answers(rows, "sigphi").mean("closed"), score_answers(rows, "strict").mean("closed")
    (100.0, 0.0)
    """
    if scorer not in SCORERS:
        raise UnknownName(f"There is no scorer called {scorer!r}. Known: {', '.join(SCORERS)}.")
    way = SCORERS[scorer]
    answers, dropped, sources, seen = [], Counter[str](), Counter[str](), set()
    for row in rows:
        name, prediction, reference, answer_type = _fields(row)
        if name in seen:
            raise OptionError(
                f"The id {name!r} stands in two rows. Give each question once, or number its repeats."
            )
        seen.add(name)
        kind, inferred = way.kind(answer_type, reference or "")
        reason = _why_dropped(way, kind, prediction, reference, answer_type)
        if reason or kind is None:
            dropped[reason] += 1
            continue
        if prediction is None:
            dropped[NO_PREDICTION + ", scored as wrong"] += 1
        numbers = way.score(prediction or "", reference or "", kind)
        source = INFERRED if inferred else STATED
        sources[source] += 1
        value = numbers[_main(way, kind)]
        answers.append(ScoredAnswer(id=name, kind=kind, score=value, numbers=numbers, source=source))
    left_out = sum(math.isnan(one.numbers.get("accuracy_run_eval", 0.0)) for one in answers)
    if left_out:
        dropped["wrong with a yes or a no, left out by accuracy_run_eval alone"] = left_out
    return AnswerScores(scorer=scorer, answers=tuple(answers), dropped=dict(dropped), sources=dict(sources))


def side_by_side(rows: Iterable[Mapping[str, Any]]) -> dict[str, AnswerScores]:
    """The same answers scored in every way, by the names of `SCORERS`."""
    kept = list(rows)
    return {name: score_answers(kept, name) for name in SCORERS}


def pair(
    references: Sequence[Mapping[str, Any]],
    predictions: Sequence[Mapping[str, Any]],
    *,
    by: Literal["id", "position"] = "id",
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Rows for `score_answers`, from references and predictions that stand apart.

    Args:
        references: Each with "id", "reference" and "answer_type".
        predictions: Each with "id" and "prediction".
        by: "id" finds the prediction of each reference, wherever it stands. "position" takes them as they
            stand, as SigPhi-Med's script does, and ends with the shorter of both.

    Returns:
        The rows, and how many of either side found no partner, or another one's.

    Raises:
        OptionError: An id stands twice among the predictions, or there is no such way to pair.
    """
    if by == "position":
        rows = [
            {**one, "prediction": other["prediction"]}
            for one, other in zip(references, predictions, strict=False)
        ]
        crossed = [
            one for one, other in zip(references, predictions, strict=False) if one["id"] != other["id"]
        ]
        left = abs(len(references) - len(predictions))
        return rows, {"paired with the prediction of another id": len(crossed), "without a partner": left}
    if by != "id":
        raise OptionError(f"Answers are paired by 'id' or by 'position', not by {by!r}.")
    found = {str(one["id"]): one["prediction"] for one in predictions}
    if len(found) < len(predictions):
        raise OptionError(
            f"{len(predictions) - len(found)} of {len(predictions)} predictions repeat an id. Give each once."
        )
    rows = [{**one, "prediction": found.pop(str(one["id"]), None)} for one in references]
    missing = sum(row["prediction"] is None for row in rows)
    return rows, {"reference without a prediction": missing, "prediction without a reference": len(found)}


def average_of_six(table: Mapping[str, tuple[float, float]]) -> float:
    """The average that the papers print: the unweighted mean of open and closed of three data sets.

    Args:
        table: {data set: (open, closed)} in percent.

    >>> six = {"vqa_rad": (67.76, 88.24), "slake": (85.07, 86.54), "pathvqa": (39.85, 92.98)}
    >>> round(average_of_six(six), 2)
    76.74
    """
    return float(np.mean([value for pair in table.values() for value in pair]))


def _main(way: Scorer, kind: Kind) -> str:
    if kind == "open":
        return way.main_open
    return way.main_closed


def _fields(row: Mapping[str, Any]) -> tuple[str, str | None, str | None, str | None]:
    """The id, the prediction, the reference and the answer type of a row, as texts."""
    absent = [key for key in ("id", "prediction", "reference", "answer_type") if key not in row]
    if absent:
        raise OptionError(
            f"A row of answers lacks {', '.join(absent)}: it has {', '.join(sorted(map(str, row)))}. Give "
            "all four; answer_type may be None."
        )
    texts = [
        None if row[key] is None else str(row[key]) for key in ("prediction", "reference", "answer_type")
    ]
    return str(row["id"]), texts[0], texts[1], texts[2]


def _why_dropped(
    way: Scorer, kind: Kind | None, prediction: str | None, reference: str | None, answer_type: str | None
) -> str:
    """Why a row is not scored; empty where it is."""
    if kind is None:
        return f"answer_type {answer_type!r}"
    if reference is None:
        return NO_REFERENCE
    if prediction is None and not way.infers:
        return NO_PREDICTION
    return ""
