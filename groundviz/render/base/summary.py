"""A record in one line of text: question, answer, methods, and whatever of these is not whole."""

from __future__ import annotations

from groundviz.record.evidence import Evidence
from groundviz.record.selection import measured, methods
from groundviz.record.types import Record
from groundviz.render.base import captions
from groundviz.render.base.escape import visible


def of(record: Record) -> str:
    """The line that stands for a record where nothing but text is shown.

    >>> import groundviz, numpy as np
    >>> explanation = groundviz.explain(
    ...     "demo", np.zeros((112, 112), np.uint8), "Is there a nodule?", methods="attention"
    ... )
    >>> of(explanation.record)
    'Is there a nodule? no (> 99%; needs the image: no; maps: attention)'
    """
    answer = record.answer
    known = [captions.percent(answer.confidence)]
    text = answer.text
    cut = captions.cut_off(answer)
    if cut:
        text = f"{text} {captions.CUT}"
        known.append(cut)
    if captions.before(record.prompt):
        known.append("more than the question was asked")
    _, needs_image, _ = Evidence(record).facts()
    known.append(": ".join(needs_image))
    known.append(f"maps: {', '.join(_method(record, name) for name in methods(record))}")
    if record.unmeasured:
        known.append(f"never ran: {', '.join(record.unmeasured)}")
    line = f"{record.prompt.question} {text} ({'; '.join(known)})"
    # Records that were given a name are told apart by it.
    if record.label:
        line = f"{record.label}: {line}"
    return visible(line)


def _method(record: Record, name: str) -> str:
    """A method, with what is not whole of its maps, or not there."""
    maps = measured(record, name)
    flaws: list[str] = []
    # Maps of one method on several images were interrupted together.
    steps = next(filter(None, map(captions.interrupted, maps)), "")
    if steps:
        flaws.append(f"interrupted: {steps}")
    if all(one.has(record.target) and not one.at(record.target).has_evidence for one in maps):
        flaws.append(captions.NO_EVIDENCE)
    if not flaws:
        return name
    return f"{name} [{', '.join(flaws)}]"
