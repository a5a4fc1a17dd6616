"""Where the cells of a stored map lie: as columns of a table, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from groundviz.evaluation.storage import maps
from groundviz.record.types import Grid, Heatmap, Target


def columns_of(grid: Grid) -> dict[str, Any]:
    """The geometry of a grid, by the names of its columns."""
    return {
        "rows": grid.rows,
        "cols": grid.cols,
        "to_source": grid.to_source.reshape(-1).tolist(),
        "valid": np.packbits(grid.valid).tobytes(),
        "stage": grid.stage,
        "image": grid.image,
        "tile": grid.label,
    }


def heatmap_of(row: Mapping[str, Any], cells: Any) -> Heatmap:
    """A map as it was stored, with its geometry; its target is named in the table of answers."""
    shape = (row["rows"], row["cols"])
    values = maps.doubled(cells, row["scale"])
    count = shape[0] * shape[1]
    valid = np.unpackbits(np.frombuffer(row["valid"], np.uint8), count=count).reshape(shape).astype(bool)
    positions = np.where(np.isnan(values), -1, np.arange(count).reshape(shape)).reshape(-1)
    grid = Grid(
        rows=shape[0],
        cols=shape[1],
        positions=positions,
        to_source=np.array(row["to_source"], np.float64).reshape(2, 3),
        valid=valid,
        stage=row["stage"],
        image=row["image"],
        label=row["tile"],
    )
    return Heatmap(
        values=values,
        grid=grid,
        target=Target(tokens=(), text=""),
        method=row["method"],
        unit=row["unit"],
        signed=row["signed"],
    )
