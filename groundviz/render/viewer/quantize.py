"""Maps in one byte for each cell, fine enough for a screen.

Attention has sinks: a few cells hold a thousand times what the others do, and equal steps from the
lowest value to the highest would leave nothing of these. So each map has steps of its own in three parts:
27 up to the value that one cell in a hundred lies below, 200 from there to the value that one in a
hundred exceeds, 27 to the highest. A value comes back within 1/400 of its part's range, beyond those
two values within 1/54. The code 255 is a cell without a value.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from groundviz.record.types import Floats

MISSING = 255
_OUTER, _INNER = 27, 200
_SHARES = (0.0, 0.01, 0.99, 1.0)


def coded(values: Floats) -> bytes:
    """Maps (..., row, col) as the ends of each one's parts, four float32, and then a byte for each cell.

    >>> maps = np.linspace(0, 1, 6, dtype=np.float32).reshape(1, 2, 3)
    >>> np.abs(decoded(coded(maps), maps.shape) - maps).max() < 0.003
    np.True_
    """
    flat = values.reshape(-1, values.shape[-2] * values.shape[-1])
    known = np.isfinite(flat)
    ends = _ends(flat, known.sum(axis=1))
    place = np.zeros(flat.shape)
    for steps, low, high in _parts(ends[..., None]):
        place += steps * _place(np.where(known, flat, low), low, high)
    codes = np.where(known, np.rint(place), MISSING)
    return ends.astype("<f4").tobytes() + codes.astype(np.uint8).tobytes()


def decoded(content: bytes, shape: Sequence[int]) -> Floats:
    """Maps (..., row, col) of such bytes, NaN where there is no value."""
    count = int(np.prod(shape[:-2]))
    ends = np.frombuffer(content, "<f4", 4 * count).reshape(count, 4)
    codes = np.frombuffer(content, np.uint8, offset=16 * count).reshape(count, -1).astype(np.float64)
    values, start = np.broadcast_to(ends[:, :1], codes.shape).astype(np.float64), 0
    for steps, low, high in _parts(ends[..., None]):
        values += (high - low) * np.clip((codes - start) / steps, 0.0, 1.0)
        start += steps
    return np.where(codes == MISSING, np.nan, values).astype(np.float32).reshape(shape)


def _ends(flat: Floats, counts: npt.NDArray[np.int64]) -> Floats:
    """Where the parts of each map's values begin and end, (map, 4); zero for a map without values."""
    ordered = np.sort(flat, axis=1)  # What is no number comes last.
    at = np.rint(np.multiply.outer(np.maximum(counts - 1, 0), _SHARES)).astype(np.int64)
    return np.where(counts[:, None] > 0, np.take_along_axis(ordered, at, axis=1), 0.0).astype(np.float32)


def _parts(
    ends: npt.NDArray[np.floating],
) -> list[tuple[int, npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
    low, first, last, high = (ends[:, at].astype(np.float64) for at in range(4))
    return [(_OUTER, low, first), (_INNER, first, last), (_OUTER, last, high)]


def _place(
    values: Floats, low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Where values lie between two ends, 0 to 1; on one side or the other of ends that are the same."""
    width = high - low
    return np.where(
        width > 0, np.clip((values - low) / np.where(width > 0, width, 1.0), 0.0, 1.0), values > low
    )
