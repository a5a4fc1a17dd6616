"""Segmented lookup tables of DICOM (PS3.3 C.7.9.2), unpacked under a cap."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from groundviz.errors import ImageError

_DISCRETE, _LINEAR = 0, 1


def expanded(words: npt.NDArray[Any], entries: int) -> npt.NDArray[Any]:
    """The table that a list of segments describes, at most `entries` long.

    A discrete segment is 0, count, values; a linear one is 1, count, last value, rising from the
    value before it.

    Raises:
        ImageError: A segment is cut short, or of another kind.

    >>> expanded(np.array([0, 2, 5, 10, 1, 4, 30]), 6).tolist()
    [5, 10, 15, 20, 25, 30]
    """
    table: list[int] = []
    at = 0
    while at + 2 < len(words) and len(table) < entries:
        kind, count = int(words[at]), int(words[at + 1])
        at += 2
        if kind == _DISCRETE and at + count <= len(words):
            table.extend(int(word) for word in words[at : at + count])
            at += count
        elif kind == _LINEAR and table:
            table.extend(_line(table[-1], int(words[at]), count))
            at += 1
        else:
            raise ImageError("A segmented palette of the DICOM cannot be unpacked. Export the image as RGB.")
    return np.asarray(table[:entries], dtype=np.int64)


def _line(before: int, last: int, count: int) -> list[int]:
    steps = np.linspace(before, last, count + 1)[1:]
    return [int(value) for value in np.rint(steps)]
