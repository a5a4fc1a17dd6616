"""Maps as tables of pandas and as labelled arrays of xarray, where these are installed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from groundviz.errors import MissingExtra
from groundviz.record.exports import believed
from groundviz.record.exports.long import Column, listed
from groundviz.record.types import Doubles, Grid, Heatmaps, Record

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


def frame(table: Mapping[str, Column], attributes: Mapping[str, Any]) -> pd.DataFrame:
    """The columns of `groundviz.record.exports.long` as a table of pandas.

    Args:
        table: The columns by their names.
        attributes: What is known of the whole table.

    Raises:
        MissingExtra: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise _missing("A data frame", "pandas") from None
    columns: dict[str, Any] = {}
    for name, column in table.items():
        columns[name] = column
        if isinstance(column, np.ma.MaskedArray):
            columns[name] = pd.arrays.IntegerArray(column.data, np.ma.getmaskarray(column))
    made = pd.DataFrame(columns)
    made.attrs.update(attributes)
    return made


def dataset(record: Record, maps: Heatmaps) -> xr.Dataset:
    """All that one method measured on one grid, with its axes labelled.

    Rows and columns are labelled with the centres of the cells, in pixels of the source image.

    Raises:
        MissingExtra: xarray is not installed.
    """
    try:
        import xarray as xr
    except ImportError:
        raise _missing("A labelled array", "xarray") from None
    dims = ("target", "layer", "head", "row", "col")
    told = {"units": maps.unit, "long_name": maps.method}
    # Copies: whoever writes into the data set must not change the record.
    variables: dict[str, Any] = {"value": (dims, maps.values.copy(), told)}
    if maps.standard_error is not None:
        variables["standard_error"] = (dims, maps.standard_error.copy(), {"units": maps.unit})
    return xr.Dataset(variables, coords=_coordinates(maps), attrs=_attributes(record, maps))


def _coordinates(maps: Heatmaps) -> dict[str, Any]:
    row, col = centres(maps.grid)
    pixels = {"units": "source pixels"}
    found: dict[str, Any] = {
        "target": [target.text for target in maps.targets],
        "tokens": ("target", [listed(target) for target in maps.targets]),
        "head": np.arange(maps.values.shape[2]),
        "row": ("row", row, pixels),
        "col": ("col", col, pixels),
        "valid": (("row", "col"), maps.grid.valid.copy()),
    }
    # A method that does not tell layers apart has one entry on that axis, and no number for it.
    if maps.layers:
        found["layer"] = list(maps.layers)
    return found


def _attributes(record: Record, maps: Heatmaps) -> dict[str, Any]:
    """What is known of the maps, in kinds of values that a NetCDF file can hold, too."""
    grid = maps.grid
    return {
        "method": maps.method,
        "unit": maps.unit,
        "signed": int(maps.signed),
        # A list of texts is nothing that every kind of NetCDF file can hold.
        "reduce": " ".join(maps.reduce),
        "image": grid.image,
        "tile": grid.label,
        "source_shape": list(record.source_images[grid.image].shape),
        "cell_size": np.diag(grid.to_source).tolist(),
        "question": record.prompt.question,
        "answer": record.answer.text,
        **believed.of_method(record, maps.method),
        "provenance": json.dumps(asdict(record.provenance), sort_keys=True, default=dict),
    }


def centres(grid: Grid) -> tuple[Doubles, Doubles]:
    """Row of each row of cells and column of each column, at their centres, in source pixels.

    >>> from groundviz.record import geometry
    >>> row, col = centres(geometry.squeezed((2, 4), (8, 8)))
    >>> row.tolist(), col.tolist()
    ([2.0, 6.0], [1.0, 3.0, 5.0, 7.0])
    """
    row = grid.to_source[0, 0] * (np.arange(grid.rows) + 0.5) + grid.to_source[0, 2]
    col = grid.to_source[1, 1] * (np.arange(grid.cols) + 0.5) + grid.to_source[1, 2]
    return row, col


def _missing(what: str, package: str) -> MissingExtra:
    return MissingExtra(f'{what} needs {package}. Install it with: pip install "groundviz[tables]"')
