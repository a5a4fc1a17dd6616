"""Words that reports share with their references: ROUGE-L and BLEU."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from groundviz.errors import MissingExtra, OptionError
from groundviz.record.types import Doubles


def rouge_l(predictions: Sequence[str], references: Sequence[str]) -> Doubles:
    """ROUGE-L F1 of each report, from 0 to 1, without a stemmer, as LLaVA-Rad scores them.

    Args:
        predictions: The generated reports.
        references: As many, in the same order.

    Raises:
        MissingExtra: The package rouge-score is not installed.
        OptionError: They differ in number.
    """
    _check(predictions, references)
    scorer = _package("rouge_score.rouge_scorer", "ROUGE-L").RougeScorer(["rougeL"], use_stemmer=False)
    pairs = zip(references, predictions, strict=True)
    return np.array(
        [scorer.score(truth, found)["rougeL"].fmeasure for truth, found in pairs], dtype=np.float64
    )


def bleu(predictions: Sequence[str], references: Sequence[str]) -> float:
    """BLEU-4 of all reports together, from 0 to 100, with sacrebleu's own tokens and smoothing.

    It is no mean of reports, so it has no interval by cluster; draw reports again to get one. Hugging Face's
    `evaluate` prints another number, from 0 to 1 and with other tokens: the two are not comparable.

    Args:
        predictions: The generated reports.
        references: As many, in the same order.

    Raises:
        MissingExtra: The package sacrebleu is not installed.
        OptionError: They differ in number.
    """
    _check(predictions, references)
    return float(_package("sacrebleu", "BLEU").corpus_bleu(list(predictions), [list(references)]).score)


def _check(predictions: Sequence[str], references: Sequence[str]) -> None:
    if isinstance(predictions, str) or isinstance(references, str) or len(predictions) != len(references):
        raise OptionError(
            f"There are {len(predictions)} reports and {len(references)} references: give two lists of as "
            "many texts."
        )
    if not len(references):
        raise OptionError("There is no report to score. Give at least one.")


def _package(name: str, what: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise MissingExtra(
            f"{what} needs {name.partition('.')[0].replace('_', '-')}. Install it with: "
            'pip install "groundviz[reports]"'
        ) from None
