"""The results of a shard on disk: written whole, and recognised as whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from groundviz.errors import GroundvizError
from groundviz.evaluation.cases.outcome import Outcome
from groundviz.evaluation.storage import maps, tables
from groundviz.evaluation.storage.keys import sha256_of
from groundviz.evaluation.storage.layout import Layout
from groundviz.evaluation.storage.schemas import ANSWERS, MAPS, TIMINGS
from groundviz.record import files


def commit(layout: Layout, number: int, outcomes: Sequence[Outcome]) -> None:
    """Write what came of a shard: its index comes last, and without it the shard is not done.

    Raises:
        StoreError: The disk refused.
    """
    cells: dict[str, npt.NDArray[np.float16]] = {}
    for outcome in outcomes:
        cells |= outcome.cells
    content = maps.packed(cells)
    answers = tables.packed([outcome.answer for outcome in outcomes], ANSWERS)
    for place in (layout.timings(number), layout.answers(number), layout.index(number)):
        files.folder_for_writing(place.parent)
    timings = [row for outcome in outcomes for row in outcome.timings]
    tables.write(layout.timings(number), timings, TIMINGS)
    files.write(layout.answers(number), answers)
    files.write(layout.maps(number), content)
    rows = [row for outcome in outcomes for row in outcome.maps]
    sums = {"maps_sha256": sha256_of(content), "answers_sha256": sha256_of(answers)}
    tables.write(layout.index(number), rows, MAPS, sums)


def is_whole(layout: Layout, number: int) -> bool:
    """Whether a shard is done, and its files are as they were written; all of them are read."""
    try:
        _, sums = tables.read(layout.index(number))
        content = {
            "maps_sha256": layout.maps(number).read_bytes(),
            "answers_sha256": layout.answers(number).read_bytes(),
        }
    except (OSError, GroundvizError):
        return False
    return all(sums.get(name) == sha256_of(one) for name, one in content.items())
