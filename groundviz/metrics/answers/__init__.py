"""Answers against references, as the papers scored them and as they should be scored.

    SCORERS         sigphi, llava_med and strict
    score_answers   answers scored in one way, with counts of what was dropped
    side_by_side    the same answers in every way
    pair            references and predictions that stand apart, brought together
    average_of_six  the average that the papers print
    published       how their scripts normalise a text, to the character
    clean           how the strict scorer does

>>> rows = [{"id": "7", "prediction": "Female.", "reference": "male", "answer_type": "CLOSED"}]
>>> {name: scores.mean("closed") for name, scores in side_by_side(rows).items()}
{'sigphi': 100.0, 'llava_med': 100.0, 'strict': 0.0}
"""

from groundviz.metrics.answers.normalising import clean, published
from groundviz.metrics.answers.scorers import SCORERS, Scorer
from groundviz.metrics.answers.table import (
    AnswerScores,
    ScoredAnswer,
    average_of_six,
    pair,
    score_answers,
    side_by_side,
)

__all__ = [
    "SCORERS",
    "AnswerScores",
    "ScoredAnswer",
    "Scorer",
    "average_of_six",
    "clean",
    "pair",
    "published",
    "score_answers",
    "side_by_side",
]
