"""Findings that a labeller such as CheXbert found in a report, against those it found in the reference."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from groundviz.errors import OptionError
from groundviz.record.types import Bools, Doubles

# CheXbert's labels, in its order.
FINDINGS = (
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
    "No Finding",
)
FIVE = ("Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Pleural Effusion")
POSITIVE, NEGATIVE, UNCERTAIN = 1.0, 0.0, -1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelF1:
    """F1 of findings, from 0 to 1.

    Attributes:
        micro: Of all findings counted together.
        macro: The mean over findings; one that neither side has counts as 0, as it does in published tables.
        each: {finding: its F1}.
        support: {finding: how many references have it}.
    """

    micro: float
    macro: float
    each: Mapping[str, float]
    support: Mapping[str, int]


def label_f1(
    predicted: npt.ArrayLike,
    reference: npt.ArrayLike,
    *,
    findings: tuple[str, ...] = FINDINGS,
    uncertain: Literal["negative", "positive"] = "negative",
) -> LabelF1:
    """Micro and macro F1 of labels, as LLaVA-Rad computes them from CheXbert's.

    Args:
        predicted: (report, 14) in the order of `FINDINGS`: 1 positive, 0 negative, -1 uncertain, NaN not
            mentioned.
        reference: Likewise, of the reference reports, labelled by the same program.
        findings: Which to score: `FINDINGS` or `FIVE`, or any of them.
        uncertain: What an uncertain finding counts as; published tables mark "positive" with a plus.

    Raises:
        OptionError: The arrays do not fit, hold other numbers, or a finding is unknown.

    >>> found, truth = np.full((2, 14), np.nan), np.full((2, 14), np.nan)
    >>> found[0, 1], truth[0, 1], truth[1, 1] = 1, 1, -1
    >>> label_f1(found, truth, findings=("Cardiomegaly",)).micro
    1.0
    >>> round(label_f1(found, truth, findings=("Cardiomegaly",), uncertain="positive").micro, 3)
    0.667
    """
    unknown = [name for name in findings if name not in FINDINGS]
    if unknown or uncertain not in ("negative", "positive"):
        raise OptionError(
            f"findings={findings!r} must be among {', '.join(FINDINGS)}, and uncertain={uncertain!r} must be "
            "'negative' or 'positive'. Give others."
        )
    columns = [FINDINGS.index(name) for name in findings]
    ours, theirs = _present(predicted, uncertain)[:, columns], _present(reference, uncertain)[:, columns]
    if ours.shape != theirs.shape:
        raise OptionError(
            f"There are {len(ours)} labelled reports and {len(theirs)} references: give as many."
        )
    both = (ours & theirs).sum(axis=0).astype(np.float64)
    either = (ours.sum(axis=0) + theirs.sum(axis=0)).astype(np.float64)
    each = _f1(both, either)
    micro = _f1(both.sum(keepdims=True), either.sum(keepdims=True))
    return LabelF1(
        micro=float(micro[0]),
        macro=float(each.mean()),
        each=dict(zip(findings, each.tolist(), strict=True)),
        support=dict(zip(findings, theirs.sum(axis=0).tolist(), strict=True)),
    )


def _f1(both: Doubles, either: Doubles) -> Doubles:
    """Twice what both have over what either has; 0 where neither has any."""
    return np.asarray(np.divide(2 * both, either, out=np.zeros_like(both), where=either > 0))


def _present(labels: npt.ArrayLike, uncertain: str) -> Bools:
    array = np.asarray(labels, dtype=np.float64)
    known = array[~np.isnan(array)]
    if array.ndim != 2 or array.shape[1] != len(FINDINGS) or not np.isin(known, (1.0, 0.0, -1.0)).all():
        raise OptionError(
            f"Labels of shape {array.shape} must be (report, {len(FINDINGS)}) of 1, 0, -1 or NaN, in the "
            "order of groundviz.metrics.reports.FINDINGS. Check the labeller's output."
        )
    present = array == POSITIVE
    if uncertain == "positive":
        present |= array == UNCERTAIN
    return np.asarray(present)


def read_labels(path: str | os.PathLike[str], *, id_column: str) -> dict[str, Doubles]:
    """The labels that CheXbert wrote, by the id of the report.

    Args:
        path: A CSV file with a column for each of `FINDINGS`: 1, 0, -1 or empty.
        id_column: Which column names the report.

    Raises:
        OptionError: It cannot be read, lacks a column, holds another number, or names a report twice.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise OptionError(
            f"The file of labels cannot be read: {type(error).__name__}. Give a CSV file in UTF-8."
        ) from None
    if not rows:
        raise OptionError("The file of labels has no row. Give the labeller's output.")
    missing = [name for name in (id_column, *FINDINGS) if name not in rows[0]]
    if missing:
        raise OptionError(
            f"The file of labels lacks the columns {', '.join(missing)}. Give CheXbert's output."
        )
    found: dict[str, Doubles] = {}
    for row in rows:
        if row[id_column] in found:
            raise OptionError("The file of labels names a report twice. Give each once.")
        found[row[id_column]] = np.array([_label(row[name]) for name in FINDINGS])
    return found


def _label(text: str | None) -> float:
    if not (text or "").strip():
        return float("nan")
    try:
        value = float(text or "")
    except ValueError:
        value = float("inf")
    if value not in (POSITIVE, NEGATIVE, UNCERTAIN):
        raise OptionError(f"The label {text!r} must be 1, 0, -1 or empty. Give CheXbert's output.")
    return value
