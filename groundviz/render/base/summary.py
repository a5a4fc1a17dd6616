"""A record in one line of text: question, answer, methods, and whatever of these is not whole."""

from __future__ import annotations

from groundviz.record.selection import measured, methods
from groundviz.record.types import Record
from groundviz.render.base import captions
from groundviz.render.base.escape import visible


def of(record: Record) -> str:
    """The line that stands for a record where nothing but text is shown.

    >>> import groundviz, numpy as np
    >>> explanation = groundviz.explain("demo", np.zeros((112, 112), np.uint8), "Is there a nodule?")
    >>> of(explanation.record)
    'Is there a nodule? no (> 99%; maps: attention, gradient_attention)'
    """
    cut = captions.cut_off(record.answer)
    label = f"{record.label}: " if record.label else ""
    answer = f"{record.answer.text} {captions.CUT}" if cut else record.answer.text
    maps = f"maps: {', '.join(_method(record, name) for name in methods(record))}"
    missing = f"never ran: {', '.join(record.unmeasured)}" if record.unmeasured else ""
    more = "more than the question was asked" if captions.before(record.prompt) else ""
    known = filter(None, [captions.percent(record.answer.confidence), cut, more, maps, missing])
    return visible(f"{label}{record.prompt.question} {answer} ({'; '.join(known)})")


def _method(record: Record, name: str) -> str:
    """A method, with what is not whole of its maps, or not there."""
    maps = measured(record, name)
    steps = next(filter(None, map(captions.interrupted, maps)), "")
    flat = all(one.has(record.target) and not one.at(record.target).has_evidence for one in maps)
    flaws = [f"interrupted: {steps}" if steps else "", captions.NO_EVIDENCE if flat else ""]
    flawed = ", ".join(filter(None, flaws))
    return f"{name} [{flawed}]" if flawed else name
