"""Tables of numbers with intervals, as CSV, LaTeX, Markdown and JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from groundviz.record.exports import sheets
from groundviz.render.base.escape import visible

NOT_MEASURED = "not measured"
UNDEFINED = "undefined"

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "\u2212": "$-$",
    "\u0394": r"$\Delta$",
    "\u03b1": r"$\alpha$",
    "\u03ba": r"$\kappa$",
    "\u00d7": r"$\times$",
    "\u2265": r"$\geq$",
    "\u2264": r"$\leq$",
    "\u2026": r"\ldots{}",
    "\u00b7": r"$\cdot$",
}

# Emphasis, code and cells; links and images; underscores that are not within a word.
_MARKED = re.compile(r"[\\`*|]|\](?=[(\[:])|(?<![^\W_])_|_(?![^\W_])")
# What begins an element or a character reference of HTML; "p < 0.001" does not.
_HTML = re.compile(r"<(?=[A-Za-z/!?])|&(?=#?\w+;)")
_REFERENCES = {"<": "&lt;", "&": "&amp;"}


@dataclass(frozen=True, slots=True)
class Number:
    """A number with its interval.

    Attributes:
        value: NaN where it is undefined, as a score of no case.
        low: Lower end of the 95 % interval; None where there is none.
        high: Upper end.
        digits: Behind the point.
        percent: Whether to write it as a percentage.
    """

    value: float
    low: float | None = None
    high: float | None = None
    digits: int = 2
    percent: bool = False

    def __str__(self) -> str:
        if not math.isfinite(self.value):
            return UNDEFINED
        text = self._one(self.value)
        if self.has_interval:
            text += f" [{self._one(self.low)}, {self._one(self.high)}]"
        return text

    @property
    def has_interval(self) -> bool:
        """Whether both ends are known."""
        return all(end is not None and math.isfinite(end) for end in (self.low, self.high))

    def _one(self, value: float | None) -> str:
        assert value is not None  # noqa: S101
        if self.percent:
            return f"{100 * value:.{max(0, self.digits - 2)}f} %".replace("-", "\u2212")
        text = f"{value:.{self.digits}f}".replace("-", "\u2212")
        # A rounded zero has no sign.
        return text.removeprefix("\u2212") if not text.strip("\u22120.") else text


Cell = str | int | Number | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table to be printed.

    Attributes:
        name: Of its files: letters, digits, underscores.
        title: What it shows, in a few words.
        head: The columns.
        rows: Cells; None is "not measured".
        note: What a reader must know to read it.
        strong: Numbers of rows to be set apart, such as those of what never saw the image.
        folded: Whether a page shows it only when it is opened.
    """

    name: str
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    strong: frozenset[int] = frozenset()
    folded: bool = False

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.head):
                raise ValueError(f"A row of {self.name} has {len(row)} cells, expected {len(self.head)}.")


def text(cell: Cell) -> str:
    """A cell as it is read.

    >>> text(None), text(Number(0.414, 0.35, 0.471)), text(Number(float("nan")))
    ('not measured', '0.41 [0.35, 0.47]', 'undefined')
    """
    return NOT_MEASURED if cell is None else str(cell)


def p_value(p: float | None) -> str | None:
    """A p-value in words that do not claim more digits than it has.

    >>> p_value(0.00004), p_value(0.0312), p_value(None)
    ('< 0.001', '0.031', None)
    """
    if p is None or not math.isfinite(p):
        return None
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def in_markdown(words: str) -> str:
    r"""Words as one line of Markdown, in which nothing is a mark, an element of HTML, a link or an image.

    >>> print(in_markdown("p < 0.001, <img src=x> ![](http://host/x.png) of a_b [0.2, 0.3]"))
    p < 0.001, &lt;img src=x> ![\](http://host/x.png) of a_b [0.2, 0.3]
    """
    line = visible(" ".join(words.split()))
    return _MARKED.sub(r"\\\g<0>", _HTML.sub(lambda found: _REFERENCES[found[0]], line))


def markdown(table: Table) -> str:
    """The table in Markdown, under its title, its note below."""
    rule = f"|{' --- |' * len(table.head)}"
    lines = [f"**{in_markdown(table.title)}**", "", _piped(table.head), rule]
    lines += [_piped([text(cell) for cell in row]) for row in table.rows]
    if table.note:
        lines += ["", in_markdown(table.note)]
    return "\n".join(lines) + "\n"


def latex(table: Table) -> str:
    r"""The table for a paper: `\usepackage{booktabs}`, and UTF-8."""
    columns = "l" + "r" * (len(table.head) - 1)
    lines = [
        r"\begin{table}",
        rf"\caption{{{_tex(table.title)}. {_tex(table.note)}}}",
        rf"\label{{tab:{table.name.replace('_', '-')}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _tex_row(table.head),
        r"\midrule",
        *(_tex_row([text(cell) for cell in row]) for row in table.rows),
        *(r"\bottomrule", r"\end{tabular}", r"\end{table}"),
    ]
    return "\n".join(lines) + "\n"


def comma_separated(table: Table) -> str:
    """The numbers themselves, unrounded; a column with intervals has its ends in two more columns."""
    ends = [any(isinstance(row[at], Number) for row in table.rows) for at in range(len(table.head))]
    intervals = [has and any(_ended(row[at]) for row in table.rows) for at, has in enumerate(ends)]
    head: list[str] = []
    for name, interval in zip(table.head, intervals, strict=True):
        head += [name, f"{name} low", f"{name} high"] if interval else [name]
    rows = [head]
    for row in table.rows:
        cells: list[str] = []
        for cell, interval in zip(row, intervals, strict=True):
            cells += _numbers(cell, interval=interval)
        rows.append(cells)
    return sheets.as_csv(rows)


def as_json(tables: Sequence[Table], facts: dict[str, Any]) -> str:
    """All tables with their numbers unrounded, and the facts that go with them."""
    content: dict[str, Any] = {**facts, "tables": {}}
    for table in tables:
        rows = [dict(zip(table.head, map(_plain, row), strict=True)) for row in table.rows]
        content["tables"][table.name] = {"title": table.title, "note": table.note, "rows": rows}
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _piped(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(in_markdown, cells)) + " |"


def _tex_row(cells: Sequence[str]) -> str:
    row = " & ".join(map(_tex, cells)) + r" \\"
    # Behind the end of a row or a rule these are read as its options.
    return f"{{}}{row}" if row.startswith(("[", "*")) else row


def _tex(words: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in " ".join(words.split()))


def _ended(cell: Cell) -> bool:
    return isinstance(cell, Number) and cell.has_interval


def _numbers(cell: Cell, *, interval: bool) -> list[str]:
    if not isinstance(cell, Number):
        return [text(cell), *([""] * 2 * interval)]
    numbers = [_full(cell.value)]
    if interval:
        numbers += [_full(cell.low), _full(cell.high)]
    return numbers


def _full(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else repr(float(value))


def _plain(cell: Cell) -> Any:
    if not isinstance(cell, Number):
        return cell
    ends = (cell.value, cell.low, cell.high)
    value, low, high = (None if one is None or not math.isfinite(one) else float(one) for one in ends)
    return {"value": value, "low": low, "high": high}
