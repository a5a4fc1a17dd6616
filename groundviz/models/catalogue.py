"""What groundviz can explain: families of architectures and published layouts, and how each was tested."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from groundviz.models.adapter.vlm import FAMILIES, UNKNOWN
from groundviz.models.checkpoints.building.layout import LAYOUTS

NOT_STATED = "not stated"
TESTED = {
    "family": "the real classes with tiny random weights and the real processors",
    "layout": "tiny checkpoints as they are published, against the original code's logits, tokens and pixels",
}
UNTESTED = (
    "No published weights could be had where groundviz is made: they are untested until somebody runs "
    "`groundviz certify MODEL`, which takes seconds."
)
HOW_TO_ADD = (
    "A model of the common kind needs no family: it is measured. docs/adding_a_family.md shows how to add a "
    "prompt for processors without one, and groundviz.testing.check_model tests it."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One family, or one layout of published checkpoints.

    Attributes:
        name: What it is registered as.
        kind: "family" or "layout".
        says: What it is, in a line.
        classes: The transformers classes of a family, in words.
        checkpoints: Hub ids for which it is meant.
    """

    name: str
    kind: str
    says: str
    classes: str
    checkpoints: tuple[str, ...]


def catalogue() -> Iterator[Entry]:
    """Every family, then every layout.

    >>> [entry.kind for entry in catalogue() if entry.name == "llava"]
    ['family']
    """
    for kind, registry in (("family", FAMILIES), ("layout", LAYOUTS)):
        for name in registry:
            if name != UNKNOWN:
                entry: Any = registry[name]
                # Another package's family states what it likes.
                yield Entry(
                    name=name,
                    kind=kind,
                    says=getattr(entry, "says", NOT_STATED),
                    classes=getattr(entry, "classes", NOT_STATED),
                    checkpoints=tuple(getattr(entry, "checkpoints", ())),
                )


def lines() -> Iterator[str]:
    """The catalogue for a terminal."""
    for entry in catalogue():
        yield f"{entry.name} ({entry.kind})"
        yield f"  {entry.says}"
        if entry.kind == "family":
            yield f"  {entry.classes}"
        if entry.checkpoints:
            yield f"  such as {', '.join(entry.checkpoints)}"
    yield from (
        "",
        *(f"Each {kind} is tested with {what}." for kind, what in TESTED.items()),
        UNTESTED,
        HOW_TO_ADD,
    )


def markdown(*, any_model: tuple[str, ...]) -> Iterator[str]:
    """The catalogue as tables.

    Args:
        any_model: Names of the methods that run on a model of no family.
    """
    yield from ("# Models", "", "Made by `groundviz models --markdown`.", "")
    for kind, title in (("family", "Families"), ("layout", "Published layouts")):
        yield from (f"## {title}", "", f"Tested with {TESTED[kind]}.", "", "| name | what it is | such as |")
        yield "| --- | --- | --- |"
        for entry in catalogue():
            if entry.kind == kind:
                meant = ", ".join(f"`{one}`" for one in entry.checkpoints)
                yield f"| `{entry.name}` | {entry.says} | {meant} |"
        yield ""
    yield from (UNTESTED, "", HOW_TO_ADD, "")
    named = [f"`{name}`" for name in any_model]
    yield f"Any other model that generates can be explained by {', '.join(named[:-1])} and {named[-1]}."
