"""The methods as lists to read, from what each states of itself in its docstring."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

from groundviz.methods.toolkit.method import METHODS


def documentation(method: str) -> str:
    """A registered method's docstring, without its indentation; empty if it has none."""
    return inspect.getdoc(METHODS[method]) or ""


def title(text: str) -> str:
    """The first line of a docstring: what the method shows."""
    return text.strip().split("\n")[0]


def stated(field: str, text: str) -> str:
    """What a docstring says behind "Unit:" or "Cost:", up to the next such word.

    >>> stated("Cost", documentation("attention"))
    "no pass beyond the answer's own"
    """
    found = re.search(rf"\b{field}: (.+?)\.(?=\s+[A-Z][a-z]+(?: [a-z]+)?:|$)", " ".join(text.split()))
    return found[1] if found else "not stated"


def explains_contrasts(text: str) -> bool:
    """Whether a method's docstring leaves it open to a contrast."""
    return "no contrasts" not in stated("Targets", text)


def explains_questions(text: str) -> bool:
    """Whether a method's docstring says that it measures words of the question, too."""
    return "question" in stated("Targets", text)


def lines(default: tuple[str, ...]) -> Iterator[str]:
    """Each method with its unit and cost, for a terminal; those of `default` are marked."""
    for name in METHODS:
        text = documentation(name)
        yield f"{name}{' (default)' if name in default else ''}"
        yield f"  {title(text)}"
        yield f"  unit: {stated('Unit', text)}"
        yield f"  cost: {stated('Cost', text)}"
        yield f"  known failure: {stated('Known failure', text).split('. ')[0]}"


def markdown() -> Iterator[str]:
    """A page with a table of all methods."""
    yield "# Methods\n"
    asked = [f"`{name}`" for name in METHODS if explains_questions(documentation(name))]
    yield "Written by `groundviz methods --markdown`, from what each method states of itself.\n"
    yield f"Of the question's words, too: {', '.join(asked)}. All others explain the answer alone.\n"
    yield "How precise sampled methods are, and at what cost: [benchmarks](benchmarks.md).\n"
    heads = ("method", "what it shows", "unit", "cost", "contrasts", "source", "known failure")
    for row in (heads, ("---",) * len(heads), *map(_row, METHODS)):
        cells = " | ".join(cell.replace("|", "\\|") for cell in row)
        yield f"| {cells} |"


def _row(name: str) -> tuple[str, ...]:
    text = documentation(name)
    return (
        f"`{name}`",
        title(text),
        stated("Unit", text),
        stated("Cost", text),
        "yes" if explains_contrasts(text) else "no",
        stated("Source", text),
        stated("Known failure", text).split(". ")[0],
    )
