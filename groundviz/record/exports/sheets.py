"""CSV as spreadsheets read it: every file of that kind is written here, so that none of them runs a text."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

# What spreadsheets take for the beginning of a formula, also in the wide letters of East Asian keyboards.
_FORMULA = tuple("=+-@\t\r＝＋－＠")  # noqa: RUF001
# A number below zero is none.
_NUMBER = re.compile(r"-(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?|-inf", re.IGNORECASE)


def as_csv(rows: Iterable[Sequence[str]]) -> str:
    r"""Rows of texts as CSV; each cell is `harmless`.

    >>> as_csv([("answer", "change"), ("=1+1", "-0.5")])
    "answer,change\r\n'=1+1,-0.5\r\n"
    """
    stream = io.StringIO()
    # With this end of a line, as RFC 4180 has it, the writer quotes a text that holds either half of it.
    writer = csv.writer(stream, lineterminator="\r\n")
    for row in rows:
        writer.writerow([harmless(cell) for cell in row])
    return stream.getvalue()


def harmless(text: str) -> str:
    """A text as it stands in a cell that no spreadsheet runs: like a formula, it has an apostrophe before it.

    >>> harmless("=1+1"), harmless("-3--1"), harmless("-3e-05"), harmless(" no")
    ("'=1+1", "'-3--1", '-3e-05', ' no')
    """
    if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text
