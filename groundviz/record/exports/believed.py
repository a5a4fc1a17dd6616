"""What a file or table of maps says beside them: whether they are to be believed."""

from __future__ import annotations

from groundviz.record import selection
from groundviz.record.evidence import MARKED_PLACE, NEEDS_IMAGE, Evidence
from groundviz.record.types import Record


def of_method(record: Record, method: str) -> dict[str, str]:
    """Whether the answer needs the image and the place that a method's maps mark, and the verdict.

    >>> import groundviz, numpy as np
    >>> answered = groundviz.explain("demo", np.zeros((112, 112), np.uint8), "Is there a nodule?")
    >>> of_method(answered.record, "attention")["needs_image"]
    'no'
    """
    evidence = Evidence(record)
    _, (_, needs), (_, marked) = evidence.facts(method)
    return {NEEDS_IMAGE: needs, MARKED_PLACE: marked, "verdict": evidence.verdict(method)}


def of_each(record: Record) -> dict[str, dict[str, str]]:
    """The same for every method of a record, by its name."""
    return {method: of_method(record, method) for method in selection.methods(record)}
