"""The maps of a shard as they were written, by sample and method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from groundviz.evaluation.cases.outcome import OK, Row
from groundviz.evaluation.storage import maps, tables
from groundviz.evaluation.storage.geometry import heatmap_of
from groundviz.evaluation.storage.layout import Layout
from groundviz.record.types import Heatmap


@dataclass(frozen=True, slots=True)
class Explained:
    """What one method made of one sample.

    Attributes:
        key: Of the explanation.
        heatmaps: One for each grid.
    """

    key: str
    heatmaps: list[Heatmap]


def explained(layout: Layout, shard: int, wanted: Callable[[Row], bool]) -> dict[str, dict[str, Explained]]:
    """The maps of a shard that were made, by the id of the sample and the method, in their order.

    Args:
        layout: The run.
        shard: Its number.
        wanted: Which of them, by their rows in the index.

    Raises:
        StoreError: They are damaged.
    """
    index, _ = tables.read(layout.index(shard))
    rows = [row for row in index if row["status"] == OK and wanted(row)]
    cells = maps.read(layout.maps(shard), [row["map_key"] for row in rows])
    found: dict[str, dict[str, Explained]] = {}
    for row in rows:
        of_sample = found.setdefault(row["sample_id"], {})
        made = of_sample.setdefault(row["method"], Explained(row["explain_key"], []))
        made.heatmaps.append(heatmap_of(row, cells[row["map_key"]]))
    return found
