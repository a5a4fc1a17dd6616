"""What can be asked of a phantom, and the true answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from groundviz.demo.findings import FINDINGS, Finding

KINDS = ("presence", "where", "side", "report")
NOT_SEEN = "not seen"
NO_FINDING = "no finding"
WORDINGS = MappingProxyType(
    {
        "presence": (
            "Is there {article} {name}?",
            "Is {article} {name} seen?",
            "Do you see {article} {name}?",
        ),
        "where": ("Where is the {name}?", "In which region is the {name}?"),
        "side": ("Which side is the {name} on?", "On which side is the {name}?"),
        "report": ("Describe the findings.", "What does the image show?"),
    }
)


class Known(Protocol):
    """An image whose findings are known: a phantom, or what one will be drawn from."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is there, in reporting order."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """One question about one phantom and its true answer.

    Attributes:
        kind: One of KINDS.
        finding: What it asks about; empty for a report.
        present: Whether that finding is in the image; True for a report.
        text: The question as a person would type it.
        answer: The true answer, word for word.
    """

    kind: str
    finding: str
    present: bool
    text: str
    answer: str


def ask(phantom: Known, kind: str, finding: str = "", *, wording: int = 0) -> Question:
    """Put one question to a phantom.

    >>> from groundviz.demo.phantoms import phantom
    >>> ask(phantom(5, findings=["effusion"]), "where", "effusion").text
    'Where is the effusion?'
    >>> ask(phantom(5, findings=["effusion"]), "presence", "nodule").answer
    'no'
    """
    wordings = WORDINGS[kind]
    text = wordings[wording % len(wordings)].format(article=_article(finding), name=finding)
    # A finding without an article leaves two blanks.
    text = text.replace("  ", " ")
    seen = {there.name: there for there in phantom.findings}
    if kind == "report":
        answer = report(phantom)
    else:
        answer = _answer(kind, seen.get(finding))
    return Question(
        kind=kind,
        finding=finding,
        present=kind == "report" or finding in seen,
        text=text,
        answer=answer,
    )


def every_question(phantom: Known, *, wording: int = 0) -> Iterator[Question]:
    """Every question that makes sense of a phantom, present and absent findings alike."""
    for finding in FINDINGS:
        yield ask(phantom, "presence", finding, wording=wording)
        # The heart has no side.
        if finding != "cardiomegaly":
            yield ask(phantom, "where", finding, wording=wording)
            yield ask(phantom, "side", finding, wording=wording)
    yield ask(phantom, "report", wording=wording)


def report(phantom: Known) -> str:
    """All findings and their places in one sentence."""
    named = []
    for finding in phantom.findings:
        text = finding.name
        if finding.side:
            text += f" in the {finding.location}"
        named.append(text)
    return " and ".join(named) or NO_FINDING


def words() -> tuple[str, ...]:
    """Every word and sign that questions and answers are made of, sorted."""
    parts = [
        "yes no and in the right left upper middle lower zone base apex chest wall",
        NOT_SEEN,
        NO_FINDING,
    ]
    parts += [wording.format(article="a an", name="") for kind in KINDS for wording in WORDINGS[kind]]
    text = " ".join([*parts, *FINDINGS, "a an user assistant : ? . ,"]).lower()
    return tuple(sorted(set(text.replace("?", " ? ").replace(".", " . ").split())))


def _answer(kind: str, finding: Finding | None) -> str:
    if kind == "presence":
        return "yes" if finding else "no"
    if finding is None:
        return NOT_SEEN
    if kind == "where":
        return finding.location
    return str(finding.side)


def _article(name: str) -> str:
    """A, an, or nothing for a condition that is not countable."""
    if name == "cardiomegaly":
        return ""
    return "an" if name[:1] in "aeiou" else "a"
