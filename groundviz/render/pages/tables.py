"""The tables of a page: checks of the maps, and their scores against the truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from groundviz.record.types import Record
from groundviz.render.base.escape import Html, element


def checks(record: Record) -> Iterator[Html]:
    """Every check of whether the maps are to be believed; nothing where there was none."""
    if record.checks:
        yield element("h3", "Is this to be believed?")
        rows: list[Sequence[str]] = []
        for one in record.checks:
            numbers = _number(one.value), _number(one.reference)
            rows.append((one.name, one.verdict, one.says, *numbers))
        yield _table(("Check", "Verdict", "What it says", "Value", "Reference"), rows, record.label)


def scores(record: Record) -> Iterator[Html]:
    """Every score against what is known to be true; nothing where there was none."""
    if record.scores:
        yield element("h3", "Against the truth")
        rows: list[Sequence[str]] = []
        for one in record.scores:
            interval = f"{_number(one.low)} to {_number(one.high)}"
            rows.append((one.metric, _number(one.value), interval, str(one.n), _number(one.prior)))
        yield _table(("Metric", "Value", "Interval", "Cases", "Without seeing the image"), rows, record.label)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], label: str) -> Html:
    caption = element("caption", label) if label else None
    head = element("tr", *(element("th", text, scope="col") for text in heads))
    body: list[Html] = []
    # The first cell of a row names it, for a reader who hears the table.
    for first, *others in rows:
        cells = [element("td", text) for text in others]
        body.append(element("tr", element("th", first, scope="row"), *cells))
    return element("table", caption, element("thead", head), element("tbody", *body))


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3g}"
