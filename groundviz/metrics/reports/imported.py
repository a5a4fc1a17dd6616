"""Numbers that other programs made of reports, read from a file by the id of the report."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from groundviz.errors import OptionError
from groundviz.record.types import Doubles

Results = dict[str, dict[str, float]]


def read_results(path: str | os.PathLike[str], *, id_column: str = "id") -> Results:
    """Numbers of reports by their ids, such as those of RadGraph, CheXbert or CheXprompt.

    Args:
        path: A CSV file with a row for each report; a JSON file with a list of such rows or {id: {name:
            number}}; or JSON lines. What is no number is left out; an empty cell, null and NaN are NaN.
        id_column: Which column names the report.

    Raises:
        OptionError: It cannot be read, a row has no id, or an id stands twice.
    """
    try:
        text = Path(path).read_text("utf-8-sig")
        rows = _rows(text, Path(path).suffix.lower(), id_column)
    except (OSError, UnicodeDecodeError, csv.Error, json.JSONDecodeError) as error:
        raise OptionError(
            f"The file of results cannot be read: {type(error).__name__}. Give CSV, JSON or JSON lines, in "
            "UTF-8."
        ) from None
    found: Results = {}
    for row in rows:
        if not isinstance(row, Mapping) or row.get(id_column) in (None, ""):
            raise OptionError(
                f"A row of the results has no {id_column!r}. Name the column with id_column=..."
            )
        name = str(row[id_column])
        if name in found:
            raise OptionError("The results name a report twice. Give each once.")
        numbers = {str(key): _number(value) for key, value in row.items() if key != id_column}
        found[name] = {key: value for key, value in numbers.items() if value is not None}
    if not found:
        raise OptionError("The file of results has no row. Give one for each report.")
    return found


def matched(results: Results, ids: Sequence[str], metric: str) -> tuple[Doubles, dict[str, int]]:
    """One number for each of some reports, and how many are missing on either side.

    Args:
        results: As `read_results` gives them.
        ids: The reports, in the order that is wanted.
        metric: Which number.

    Returns:
        float64 (report,), NaN where there is none; and the counts.

    Raises:
        OptionError: No report has that number.

    >>> values, missing = matched({"a": {"f1": 0.5}, "b": {"f1": 1.0}}, ["b", "c"], "f1")
    >>> values.tolist(), missing
    ([1.0, nan], {'without a result': 1, 'results of other reports': 1})
    """
    known = _names(results.values())
    if metric not in known:
        raise OptionError(
            f"The results have no number called {metric!r}. They have {', '.join(known) or 'none'}."
        )
    values = [results.get(name, {}).get(metric, float("nan")) for name in ids]
    counts = {
        "without a result": sum(map(math.isnan, values)),
        "results of other reports": len(results.keys() - set(ids)),
    }
    return np.array(values, dtype=np.float64), counts


def _names(rows: Iterable[Mapping[str, float]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _rows(text: str, suffix: str, id_column: str) -> list[Any]:
    if suffix == ".csv":
        return list(csv.DictReader(io.StringIO(text, newline="")))
    if suffix in (".jsonl", ".ndjson"):
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    content = json.loads(text)
    if isinstance(content, dict):
        return [{**_mapping(row), id_column: name} for name, row in content.items()]
    if isinstance(content, list):
        return content
    raise OptionError("The file of results holds neither a list of rows nor {id: {name: number}}.")


def _mapping(row: Any) -> Mapping[str, Any]:
    if isinstance(row, Mapping):
        return row
    raise OptionError("The file of results holds neither a list of rows nor {id: {name: number}}.")


def _number(value: Any) -> float | None:
    """A number, NaN for what is empty, None for what is something else."""
    if value is None or value == "":
        return float("nan")
    if isinstance(value, str | int | float):
        try:
            return float(value)
        except ValueError:
            return None
    return None
