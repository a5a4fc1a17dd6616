"""What was checked of a record's maps, in words and as a table. One wording for every host.

The words are those of `groundviz.record.evidence`. Here they are put together for several maps that are shown
at once, so that the viewer, a page, a notebook, a caption and a terminal say the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from groundviz.record.evidence import NOT_MEASURED, UNMEASURED, Evidence, probability
from groundviz.record.selection import methods
from groundviz.record.types import Check, Record
from groundviz.render.base.captions import method_name
from groundviz.render.base.escape import visible

TITLE = "Is this to be believed?"
EVERY_CHECK = "Every check, with its numbers"
OF_ANSWER = "The answer"
HEAD = ("Check", "Found", "Value", "Compared with", "In words", "Cost and source")

Facts = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of the maps of one method.

    Attributes:
        method: Its registered name; empty where no map is shown, which leaves what is known of the answer.
        name: The name as it reads.
        facts: Pairs of what was asked and what was found: of the answer, the image, the marked place.
        verdict: One sentence; empty where it would only say that nothing was measured.
    """

    method: str
    name: str
    facts: Facts
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The checks of the answer, or of one method's map.

    Attributes:
        name: What was checked.
        rows: The cells of each check, as texts under `HEAD`.
    """

    name: str
    rows: tuple[tuple[str, ...], ...]


def known(record: Record, method: str = "") -> Known:
    """What is known of one method's maps; of the answer alone where no method is named."""
    if not method:
        alone = Evidence(replace(record, heatmaps=()))
        return Known(method="", name="", facts=_visible(alone.facts()), verdict="")
    evidence = Evidence(record)
    verdict = evidence.verdict(method)
    if verdict == UNMEASURED:
        verdict = ""
    return Known(
        method=visible(method),
        name=visible(method_name(method)),
        facts=_visible(evidence.facts(method)),
        verdict=visible(verdict),
    )


def facts(record: Record, shown: Iterable[str] | None = None) -> Facts:
    """What was asked and found, in pairs; where methods differ, each finding names those it is of.

    Args:
        record: What was asked and answered.
        shown: Methods whose maps are shown; None for all.
    """
    each = _each(record, shown)
    found: list[tuple[str, str]] = []
    for at, (asked, _) in enumerate(each[0].facts):
        found.append((asked, together([(one.name, one.facts[at][1]) for one in each])))
    return tuple(found)


def line(record: Record, shown: Iterable[str] | None = None) -> str:
    """Whether the answer needs the image and the marked place, for places that tell the answer themselves.

    Args:
        record: As in `facts`.
        shown: As in `facts`.
    """
    _, *others = facts(record, shown)
    return " · ".join(f"{asked}: {found}" for asked, found in others)


def verdicts(record: Record, shown: Iterable[str] | None = None) -> list[str]:
    """The verdict on each map that says more than `line`, those that are alike once, and what none says.

    Args:
        record: As in `facts`.
        shown: As in `facts`.
    """
    return [*_of_maps(_each(record, shown)), *_caveats(record)]


def sentences(record: Record, shown: Iterable[str] | None = None) -> list[str]:
    """Everything that a caption says of it.

    Args:
        record: As in `facts`.
        shown: As in `facts`.
    """
    named = None if shown is None else list(shown)
    first = line(record, named).replace(" · ", "; ")
    return [f"{first[:1].upper()}{first[1:]}.", *verdicts(record, named)]


def groups(record: Record) -> Iterator[Group]:
    """Every check that was made: those of the answer first, then those of each method's map."""
    found: dict[str, list[Check]] = {}
    for check in sorted(record.checks, key=lambda one: bool(one.method)):
        found.setdefault(check.method, []).append(check)
    for method, checks in found.items():
        name = visible(method_name(method)) if method else OF_ANSWER
        yield Group(name=name, rows=tuple(map(_row, checks)))


def payload(record: Record) -> dict[str, Any]:
    """All of it as the viewer reads it, in kinds of values that JSON has."""
    each = _each(record, None)
    differ = len({one.verdict for one in each}) > 1
    return {
        # The first is of the answer alone, for a viewer that shows no map of these methods.
        "known": [asdict(one) for one in (known(record), *each)],
        "always": " ".join(_caveats(record)),
        # One that all maps share stands in the viewer's first lines.
        "verdicts": _of_maps(each) if differ else [],
        "more": EVERY_CHECK,
        "head": HEAD,
        "groups": [asdict(group) for group in groups(record)],
    }


def together(found: Sequence[tuple[str, str]]) -> str:
    """What was found of several maps, in one text.

    >>> together([("RISE", "shown"), ("Attention", "not shown"), ("LayerCAM", "shown")])
    'shown (RISE, LayerCAM), not shown (Attention)'
    >>> together([("RISE", "shown"), ("Attention", "shown")])
    'shown'
    """
    names: dict[str, list[str]] = {}
    for name, text in found:
        names.setdefault(text, []).append(name)
    if len(names) == 1:
        return next(iter(names))
    return ", ".join(f"{text} ({', '.join(of)})" for text, of in names.items())


def _each(record: Record, shown: Iterable[str] | None) -> list[Known]:
    """What is known of each method that is shown; of the answer alone where none is."""
    named = methods(record) if shown is None else tuple(dict.fromkeys(shown))
    return [known(record, name) for name in named or ("",)]


def _of_maps(each: Sequence[Known]) -> list[str]:
    """The verdicts, each behind the names of its methods where these have different ones."""
    names: dict[str, list[str]] = {}
    for one in each:
        if one.verdict:
            names.setdefault(one.verdict, []).append(one.name)
    found: list[str] = []
    for verdict, of in names.items():
        whose = "" if len(of) == len(each) else f"{', '.join(of)}: "
        found.append(f"{whose}{verdict}")
    return found


def _caveats(record: Record) -> list[str]:
    return list(map(visible, Evidence(record).caveats))


def _visible(pairs: Facts) -> Facts:
    return tuple((visible(asked), visible(found)) for asked, found in pairs)


def _row(check: Check) -> tuple[str, ...]:
    words = check.says
    if check.numbers:
        measured = "; ".join(f"{name}: {_number(value)}" for name, value in check.numbers.items())
        words = f"{words} Measured: {measured}."
    cells = (
        method_name(check.name),
        outcome_of(check),
        _counted(check.value, check.unit),
        _counted(check.reference, check.unit),
        words,
        "; ".join(filter(None, (check.cost, check.source))),
    )
    return tuple(map(visible, cells))


def outcome_of(check: Check) -> str:
    """The outcome of a check, which one that was interrupted does not have."""
    if check.samples is not None and check.partial:
        return f"{NOT_MEASURED} (partial: {check.samples.done:,} of {check.samples.asked:,} steps)"
    return check.verdict


def _counted(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    if unit == "p":
        return f"p {probability(value)}"
    return f"{_number(value)} {unit}".strip()


def _number(value: float) -> str:
    return f"{value:.3g}"
