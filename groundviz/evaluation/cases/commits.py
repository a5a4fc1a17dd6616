"""The results of a shard on disk: written whole, recognised as whole, and reopened where samples failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from groundviz.errors import GroundvizError, StoreError
from groundviz.evaluation.cases.outcome import FAILED, Outcome
from groundviz.evaluation.storage import maps, tables
from groundviz.evaluation.storage.keys import key_of, sha256_of
from groundviz.evaluation.storage.layout import Layout
from groundviz.evaluation.storage.schemas import ANSWERS, MAPS, TIMINGS
from groundviz.record import files

_MADE_OF = "explained"


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
    files.remove(layout.aside(number))
    rows = [row for outcome in outcomes for row in outcome.maps]
    sums = {"maps_sha256": sha256_of(content), "answers_sha256": sha256_of(answers)}
    tables.write(layout.index(number), rows, MAPS, sums)


def is_whole(layout: Layout, number: int) -> bool:
    """Whether a shard is done, and its files are as they were written; all of them are read."""
    return _fits(layout, number, layout.index(number))


def reopen(layout: Layout, number: int) -> None:
    """Let the samples of a shard that failed be computed again: it is no longer done, the rest is `kept`."""
    try:
        maps_made, _ = tables.read(layout.index(number))
        answered, _ = tables.read(layout.answers(number))
    except StoreError:
        # All of it is computed again.
        return
    if any(row["status"] in FAILED for row in (*maps_made, *answered)):
        with suppress(OSError):
            layout.index(number).replace(layout.aside(number))


def kept(layout: Layout, number: int) -> dict[str, Outcome]:
    """What came of the samples of a reopened shard that did not fail, by their ids."""
    aside = layout.aside(number)
    if not _fits(layout, number, aside):
        return {}
    found = {row["sample_id"]: Outcome(row) for row in tables.read(layout.answers(number))[0]}
    for row in tables.read(aside)[0]:
        found[row["sample_id"]].maps.append(row)
    with suppress(StoreError):
        for row in tables.read(layout.timings(number))[0]:
            found[row["sample_id"]].timings.append(row)
    whole = {name: one for name, one in found.items() if not _has_failed(one)}
    for one in whole.values():
        one.cells.update(
            maps.read(layout.maps(number), [row["map_key"] for row in one.maps if row["map_key"]])
        )
    return whole


def state_of(layout: Layout, shards: Iterable[int]) -> str:
    """A hash of what has been explained of some shards."""
    found = []
    for shard in sorted(shards):
        index = b""
        # What is being computed again is not there.
        with suppress(OSError):
            index = layout.index(shard).read_bytes()
        found.append(sha256_of(index))
    return key_of(found)


def made_of(state: str) -> Mapping[str, str]:
    """What a table says of the explanations that it was made of."""
    return {_MADE_OF: state}


def is_of(place: Path, state: str) -> bool:
    """Whether a table is there, whole, and made of these explanations."""
    try:
        _, says = tables.read(place)
    except StoreError:
        return False
    return says.get(_MADE_OF) == state


def _has_failed(one: Outcome) -> bool:
    return any(row["status"] in FAILED for row in (one.answer, *one.maps))


def _fits(layout: Layout, number: int, index: Path) -> bool:
    """Whether maps and answers are those of an index."""
    try:
        _, sums = tables.read(index)
        content = {
            "maps_sha256": layout.maps(number).read_bytes(),
            "answers_sha256": layout.answers(number).read_bytes(),
        }
    except (OSError, GroundvizError):
        return False
    return all(sums.get(name) == sha256_of(one) for name, one in content.items())
