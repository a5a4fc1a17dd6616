"""The tables of a page: checks of the maps, and their scores against the truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from groundviz.record.types import Record
from groundviz.render.base import checked
from groundviz.render.base.escape import Html, element


def evidence(record: Record) -> Html:
    """What a reader must know first: the answer, whether it needs the image, and the marked place."""
    parts: list[Html | str] = []
    for asked, found in checked.facts(record):
        if parts:
            parts.append(" \N{MIDDLE DOT} ")
        parts += [element("span", f"{asked}: ", class_="quiet"), element("strong", found)]
    says = " ".join(checked.verdicts(record))
    return element(
        "div", element("p", *parts, class_="facts"), element("p", says, class_="quiet"), class_="evidence"
    )


def checks(record: Record) -> Iterator[Html]:
    """Whether the maps are to be believed, in sentences, and every check of it that was made."""
    yield element("h3", checked.TITLE)
    yield element("p", " ".join(checked.sentences(record)))
    found = list(checked.groups(record))
    if found:
        # Where it is wider than the screen, keys move it, too.
        table = _grouped(found, record.label)
        yield element(
            "div", table, class_="room stacked", tabindex="0", role="group", aria_label=checked.EVERY_CHECK
        )


def _grouped(found: Sequence[checked.Group], label: str) -> Html:
    """A table whose rows stand under the names of their groups."""
    bodies: list[Html] = []
    for group in found:
        name = element("th", group.name, scope="rowgroup", colspan=str(len(checked.HEAD)))
        bodies.append(element("tbody", element("tr", name), *map(partial(_row, checked.HEAD), group.rows)))
    return element("table", *_caption(label), _head(checked.HEAD), *bodies)


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
    return element(
        "table", *_caption(label), _head(heads), element("tbody", *map(partial(_row, heads), rows))
    )


def _caption(label: str) -> Iterator[Html]:
    if label:
        yield element("caption", label)


def _head(heads: Sequence[str]) -> Html:
    return element("thead", element("tr", *(element("th", text, scope="col") for text in heads)))


def _row(heads: Sequence[str], cells: Sequence[str]) -> Html:
    """The first cell of a row names it, for a reader who hears the table; the others know their heads.

    On a narrow screen the cells stand under each other, each behind its head.
    """
    first, *others = cells
    told = (element("td", text, data_head=head) for head, text in zip(heads[1:], others, strict=True))
    return element("tr", element("th", first, scope="row"), *told)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3g}"
