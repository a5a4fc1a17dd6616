"""The data sets as lists to read, from the facts that each is registered with."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from groundviz.datasets.card import DATASETS, Card
from groundviz.datasets.folder import COLUMNS


def lines() -> Iterator[str]:
    """Each data set with its access, its licence and its options, for a terminal."""
    for name in DATASETS.ours_first():
        card = DATASETS.facts(name)
        yield name
        yield f"  {card.shows}"
        yield f"  access: {card.access}"
        yield f"  licence: {card.license}"
        yield f"  options: {', '.join(options(name))}"


def options(name: str) -> list[str]:
    """The options of a data set, "limit" first, which all have."""
    parameters = inspect.signature(DATASETS[name]).parameters.values()
    return ["limit", *(one.name for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY)]


def markdown() -> Iterator[str]:
    """The page of all cards, in Markdown."""
    yield "# Data set cards"
    yield ""
    yield "This page is made by `groundviz data --markdown > docs/dataset_cards.md`: change the"
    yield "registrations, not this page. [Data sets](datasets.md) tells how to load and to check one."
    yield ""
    yield "| name | what it holds | licence |"
    yield "|---|---|---|"
    for name in DATASETS.ours_first():
        card = DATASETS.facts(name)
        cells = (f"[{name}](#{name})", card.shows, card.license)
        yield f"| {' | '.join(map(_cell, cells))} |"
    for name in DATASETS.ours_first():
        yield ""
        yield from _card(name, DATASETS.facts(name))
    yield ""
    yield from _columns()


def _card(name: str, card: Card) -> Iterator[str]:
    yield f"## {name}"
    yield ""
    yield card.shows
    yield ""
    facts = {
        "publisher": card.publisher,
        "version": card.version,
        "licence": card.license,
        "access": card.access,
        "the folder holds": card.files,
        "regions": card.annotation,
        "options": ", ".join(f"`{option}`" for option in options(name)),
        "contamination": card.contamination,
        "cite": card.citation,
        "expected counts": "; ".join(
            _count(count.what, count.split, count.expected) for count in card.counts
        ),
    }
    for what, fact in facts.items():
        if fact:
            yield f"- **{what}**: {fact}"
    if card.restricted:
        yield "- Its phrases, paths and pixels must not be published."
    yield ""
    yield "What one must know of its files:"
    yield ""
    for quirk in card.quirks:
        yield f"- {quirk}"


def _count(what: str, split: str, expected: int) -> str:
    return f"{expected:,} {what} in {split}" if split else f"{expected:,} {what}"


def _columns() -> Iterator[str]:
    """What each column of a folder's own table means."""
    yield "## Columns of a folder's table"
    yield ""
    yield "| column | what it is |"
    yield "|---|---|"
    for column, says in COLUMNS.items():
        yield f"| `{column}` | {_cell(says)} |"
    yield ""
    yield "All other columns are kept as `facts` of the sample."


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
