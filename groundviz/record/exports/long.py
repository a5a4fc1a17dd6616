"""Maps as one long table: a row for each cell of each map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from groundviz.errors import TargetError
from groundviz.record import tiles
from groundviz.record.exports import sheets
from groundviz.record.exports.choice import Choice
from groundviz.record.types import Heatmap, Record, Target

# What every table has, in this order, and what stands behind it.
COLUMNS = (
    *("token", "method", "layer", "head", "image", "row", "col", "value", "unit"),
    *("target", "tokens", "tile", "standard_error"),
)

Column = npt.NDArray[Any]


def columns(record: Record, choice: Choice) -> dict[str, Column]:
    """The columns of the table, by the names of `COLUMNS`, all of one length.

    `token`, `layer` and `head` are masked arrays of whole numbers: masked where a target has several
    tokens, and where layers or heads are combined. Cells without a value have a row, too: NaN.

    Raises:
        UnknownName: As in `Choice.heatmaps`.
        TargetError: As in `Choice.heatmaps`, or no such map was measured.
        OptionError: As in `Choice.heatmaps`.
    """
    names = _tile_names(record)
    blocks: dict[str, list[Column]] = {name: [] for name in COLUMNS}
    for heatmap in choice.heatmaps(record):
        tile = names[heatmap.method, id(heatmap.grid)]
        for name, block in _block(heatmap, tile).items():
            blocks[name].append(block)
    if not blocks["value"]:
        raise TargetError(
            "There is no map for the table: none of these methods measured what was asked for. "
            "Name a target that one of them measured."
        )
    return {name: _joined(parts) for name, parts in blocks.items()}


def as_csv(table: Mapping[str, Column]) -> bytes:
    """The table as CSV in UTF-8, with a line of names; what is missing or NaN is empty.

    Numbers have as many digits as bring the same float32 back. A text that a spreadsheet would run as a
    formula has an apostrophe before it, since an answer can read like one.
    """
    texts = [_texts(table[name]) for name in COLUMNS]
    return sheets.as_csv(chain([COLUMNS], zip(*texts, strict=True))).encode()


def token_of(target: Target) -> int | None:
    """The token that a target is; None where it has several."""
    if len(target.tokens) == 1:
        return target.tokens[0]
    return None


def listed(target: Target) -> str:
    """All tokens of a target in a text, as runs: "0-6", or "2 5-7"."""
    runs: list[list[int]] = []
    for token in target.tokens:
        if runs and token == runs[-1][-1] + 1:
            runs[-1].append(token)
        else:
            runs.append([token])
    return " ".join(_run(run) for run in runs)


def _run(tokens: Sequence[int]) -> str:
    if len(tokens) == 1:
        return str(tokens[0])
    return f"{tokens[0]}-{tokens[-1]}"


def _tile_names(record: Record) -> dict[tuple[str, int], str]:
    """What each grid of each method is called among the tiles of its image, by the grid's identity."""
    names = {}
    for maps in record.heatmaps:
        others = [one for one in record.heatmaps if one.method == maps.method]
        names[maps.method, id(maps.grid)] = tiles.name(maps, others)
    return names


def _block(heatmap: Heatmap, tile: str) -> dict[str, Column]:
    """The rows of one map."""
    count = heatmap.values.size
    row, col = np.indices(heatmap.shape)
    error = np.full(count, np.nan, dtype=np.float32)
    if heatmap.standard_error is not None:
        error = heatmap.standard_error.ravel()
    return {
        "token": _repeated(token_of(heatmap.target), count),
        "method": np.full(count, heatmap.method, dtype=object),
        "layer": _repeated(heatmap.layer, count),
        "head": _repeated(heatmap.head, count),
        "image": np.full(count, heatmap.grid.image, dtype=np.int64),
        "row": row.ravel(),
        "col": col.ravel(),
        "value": heatmap.values.ravel(),
        "unit": np.full(count, heatmap.unit, dtype=object),
        "target": np.full(count, heatmap.target.text, dtype=object),
        "tokens": np.full(count, listed(heatmap.target), dtype=object),
        "tile": np.full(count, tile, dtype=object),
        "standard_error": error,
    }


def _repeated(number: int | None, count: int) -> Column:
    """One whole number many times, or as many masked entries where there is none."""
    missing = np.full(count, number is None)
    return np.ma.MaskedArray(np.full(count, number or 0, dtype=np.int64), mask=missing)


def _joined(parts: Sequence[Column]) -> Column:
    data = np.concatenate([np.asarray(part) for part in parts])
    if isinstance(parts[0], np.ma.MaskedArray):
        missing = np.concatenate([np.ma.getmaskarray(part) for part in parts])
        return np.ma.MaskedArray(data, mask=missing)
    return data


def _texts(column: Column) -> list[str]:
    """The entries of a column as they stand in a file."""
    if column.dtype == object:
        return list(map(str, column))
    missing = np.ma.getmaskarray(column)
    if column.dtype.kind == "f":
        missing = np.isnan(column)
    texts: list[str] = np.where(missing, "", np.asarray(column).astype(str)).tolist()
    return texts
