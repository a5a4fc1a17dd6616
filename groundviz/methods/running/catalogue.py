"""The methods as lists to read, from the facts that each is registered with."""

from __future__ import annotations

from collections.abc import Iterator

from groundviz.methods.toolkit.method import METHODS, Method
from groundviz.registry import Bridge

COLUMNS = ("method", "what it shows", "unit", "cost", "contrasts", "source", "known failure")


def lines(default: tuple[str, ...]) -> Iterator[str]:
    """Each method with its unit and cost, for a terminal; those of `default` are marked."""
    for name in METHODS:
        facts = METHODS.facts(name)
        yield f"{name}{' (default)' if name in default else ''}"
        yield f"  {facts.shows}"
        yield f"  unit: {facts.unit}"
        yield f"  cost: {facts.cost}"
        yield f"  known failure: {facts.fails}"
    for bridge in METHODS.bridges.values():
        yield f"{bridge.prefix}:NAME"
        yield f"  {bridge.says}"
        yield f"  names: {', '.join(bridge.names)}"


def markdown() -> Iterator[str]:
    """A page with a table of all methods."""
    yield "# Methods\n"
    asked = ", ".join(f"`{name}`" for name in METHODS if METHODS.facts(name).question)
    yield "Written by `groundviz methods --markdown`, from the facts that each method is registered with.\n"
    yield f"Of the question's words, too: {asked}. All others explain the answer alone.\n"
    yield "How precise sampled methods are, and at what cost: [benchmarks](benchmarks.md).\n"
    yield _in_table(COLUMNS)
    yield _in_table(("---",) * len(COLUMNS))
    for name in METHODS:
        yield _in_table(_row(name))
    for bridge in METHODS.bridges.values():
        yield from _behind(bridge)


def _behind(bridge: Bridge[Method]) -> Iterator[str]:
    """A section on the methods of another library."""
    yield f"\n## {bridge.prefix}:NAME\n"
    yield f"{bridge.says}\n"
    yield _in_table(COLUMNS)
    yield _in_table(("---",) * len(COLUMNS))
    for name in bridge.names:
        yield _in_table(_row(f"{bridge.prefix}:{name}"))
    yield "\nThese are refused by name:\n"
    reasons: dict[str, list[str]] = {}
    for name, reason in bridge.refused.items():
        reasons.setdefault(reason, []).append(f"`{name}`")
    for reason, names in reasons.items():
        yield f"- {', '.join(names)}: {reason}."


def _row(name: str) -> tuple[str, ...]:
    facts = METHODS.facts(name)
    contrasts = "yes" if facts.contrasts else "no"
    return (f"`{name}`", facts.shows, facts.unit, facts.cost, contrasts, facts.source, facts.fails)


def _in_table(cells: tuple[str, ...]) -> str:
    escaped = [cell.replace("|", "\\|") for cell in cells]
    return f"| {' | '.join(escaped)} |"
