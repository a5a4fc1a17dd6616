"""A report as one page that loads nothing and runs nothing."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import Image

from groundviz.render.base import escape
from groundviz.render.base.colour import Scale
from groundviz.render.base.escape import Html, element
from groundviz.render.figures.file import PaperFigure
from groundviz.render.pages.stylesheet import STYLE
from groundviz.render.report import cases, tables
from groundviz.render.report.cases import Row
from groundviz.render.report.tables import Table

_STYLE = """
.groundviz .room table { width: auto; min-width: 0; font-variant-numeric: tabular-nums; }
.groundviz .room td, .groundviz .room th { white-space: nowrap; }
.groundviz .room thead th { white-space: normal; vertical-align: bottom; max-width: 9.5em; border-top: 0; }
.groundviz .room th:first-child { position: sticky; left: 0; background: var(--card); }
.groundviz .blind td, .groundviz .blind th { color: var(--quiet); font-style: italic; }
.groundviz .absent { color: var(--quiet); }
.groundviz .lead { list-style: none; margin: .7em 0; padding: 2px 0 2px 12px;
  border-left: 3px solid var(--mark); }
.groundviz .lead.beware { border-left-color: var(--warn); font-weight: 400; }
.groundviz .lead li + li { margin-top: .5em; }
.groundviz .contents { display: flex; flex-wrap: wrap; gap: 2px 20px; list-style: none; margin: 0 0 14px;
  padding: 0; font-size: .95em; }
.groundviz .contents a { color: var(--mark); }
.groundviz .asked dt { color: var(--ink); font-weight: 600; margin-top: .6em; }
.groundviz .asked { display: block; font-size: .95em; }
.groundviz .row { display: flex; flex-wrap: wrap; gap: 10px; margin: .4em 0 1em; }
.groundviz .row > figure, .groundviz .row .none { width: 170px; }
.groundviz .chart + .chart { margin-top: 1.8em; }
.groundviz .chart img { background: #fff; width: 100%; }
.groundviz header, .groundviz main, .groundviz footer { max-width: 1180px; }
@media (max-width: 700px) {
  .groundviz .room table { width: max-content; }
  .groundviz .room th:first-child { white-space: normal; max-width: 8.5em; }
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart with the name of its files.

    Attributes:
        name: Letters, digits, underscores.
        figure: The chart.
    """

    name: str
    figure: PaperFigure


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that a report shows.

    Attributes:
        title: What was evaluated on what.
        lead: What must be read first, in sentences.
        warned: Whether the lead says that a method is not shown to be better than a map without an image.
        tables: In their order.
        charts: In their order.
        rows: Cases chosen by rule; empty where pixels must not leave.
        rule: The rule.
        questions: What reviewers ask, and the answers.
        notes: What each metric is.
        facts: The footer: name and value.
    """

    title: str
    lead: tuple[str, ...]
    warned: bool
    tables: tuple[Table, ...]
    charts: tuple[Chart, ...]
    rows: tuple[Row, ...]
    rule: str
    questions: tuple[tuple[str, str], ...]
    notes: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]


def page(report: Report) -> str:
    """The report as an HTML page."""
    kind = "lead beware" if report.warned else "lead"
    lead = element("ul", *(element("li", one) for one in report.lead), class_=kind)
    header = element("header", element("h1", report.title), lead)
    sections: dict[str, list[Html]] = {
        "Tables": [_table(table) for table in report.tables],
        "Charts": list(_charts(report.charts)),
        "Cases": list(_rows(report)),
        "What reviewers ask": [_pairs(report.questions, "asked")],
        "What the metrics are": [_pairs(report.notes, "asked")] if report.notes else [],
        "How this was made": [_pairs(report.facts, "made")],
    }
    shown = {title: parts for title, parts in sections.items() if parts}
    links = (element("li", element("a", title, href=f"#{_place(title)}")) for title in shown)
    contents = element("ul", *links, class_="contents")
    articles = (_article(title, parts) for title, parts in shown.items())
    foot = element("footer", element("p", "For research. Not a medical device.", class_="quiet"))
    return escape.document(report.title, STYLE + _STYLE, [header, element("main", contents, *articles), foot])


def _article(title: str, parts: Sequence[Html]) -> Html:
    return element("article", element("h2", title), *parts, id=_place(title))


def _place(title: str) -> str:
    return title.lower().replace(" ", "-")


def _table(table: Table) -> Html:
    head = element("tr", *(element("th", name, scope="col") for name in table.head))
    rows: list[Html] = []
    for at, row in enumerate(table.rows):
        first, *others = map(tables.text, row)
        cells = [element("th", first, scope="row")]
        for cell in others:
            absent = "absent" if cell in (tables.NOT_MEASURED, tables.UNDEFINED) else None
            cells.append(element("td", cell, class_=absent))
        rows.append(element("tr", *cells, class_="blind" if at in table.strong else None))
    body = element("table", element("thead", head), element("tbody", *rows))
    room = element("div", body, class_="room", tabindex=0, role="region", aria_label=table.title)
    note = element("p", table.note, class_="quiet") if table.note else None
    if table.folded:
        summary = element("summary", f"{table.title}: {len(table.rows)} rows")
        return element("section", element("details", summary, room, note))
    return element("section", element("h3", table.title), room, note)


def _charts(charts: Sequence[Chart]) -> Iterator[Html]:
    if not charts:
        yield element("p", "Nothing was measured that a chart could show.", class_="quiet")
    for chart in charts:
        content = chart.figure.preview()
        with Image.open(io.BytesIO(content)) as preview:
            width, height = preview.size
        drawn = escape.image(content, chart.figure.caption, width=width, height=height)
        yield element("figure", drawn, element("figcaption", chart.figure.caption), class_="chart")


def _rows(report: Report) -> Iterator[Html]:
    yield element("p", report.rule, class_="quiet")
    for row in report.rows:
        scale = row.scale
        yield element("h3", row.name)
        if scale is not None:
            low, high = scale.ends
            drawn = escape.image(cases.colour_bar(scale), "Colour scale.", width=160, height=10)
            ends = element("span", element("span", low), drawn, element("span", high), class_="bar")
            words = element("span", f"{scale.unit} · {scale.rule}", class_="quiet")
            yield element("ul", element("li", ends, words), class_="scales")
        yield element("div", *(_case(case, scale) for case in row.cases), class_="row")


def _case(case: cases.Case, scale: Scale | None) -> Html:
    says = "\n".join(filter(None, [case.caption, cases.unseen(case, scale)]))
    caption = element("figcaption", *escape.lines(says))
    if case.heatmap is None:
        return element("figure", element("p", tables.NOT_MEASURED, class_="none"), caption)
    content, shape = cases.panel(case, scale)
    return element("figure", escape.image(content, says, width=shape[1], height=shape[0]), caption)


def _pairs(pairs: Sequence[tuple[str, str]], kind: str) -> Html:
    parts: list[Html] = []
    for name, value in pairs:
        parts += [element("dt", name), element("dd", value)]
    return element("dl", *parts, class_=kind)
