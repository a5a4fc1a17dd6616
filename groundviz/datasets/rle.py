"""Run-length codes of masks: COCO's, as lists and as compressed texts, and Kaggle's relative one.

All of them count pixels column by column, from the upper left corner down. Sources: the mask API of COCO
(cocodataset/cocoapi, common/maskApi.c), and the data page of the SIIM-ACR pneumothorax challenge.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from groundviz.errors import DataError
from groundviz.images.base.limits import MAX_PIXELS
from groundviz.record.types import Bools

# A compressed count is written in characters from "0" on, five bits each, the lowest first; the sixth bit
# says that another one follows.
_FIRST, _BITS, _MORE, _SIGN = 48, 0x1F, 0x20, 0x10
# Python reads no number of thousands of digits, and no image needs one of more than these.
_WHOLE = re.compile(r"[0-9]{1,18}")


def decode(code: Mapping[str, Any]) -> Bools:
    """The mask of a COCO code: bool (rows, cols).

    Args:
        code: `size` is [rows, cols]; `counts` the lengths of runs of 0 and 1 in turn, beginning with 0, as a
            list or as COCO's compressed text or bytes.

    Raises:
        DataError: It is no such code, a count is no whole number or more than all pixels, or its runs do not
            fill the mask.

    >>> decode({"size": [2, 3], "counts": [1, 2, 3]}).astype(int).tolist()
    [[0, 1, 0], [1, 0, 0]]
    """
    rows, cols = size_of(code)
    counts = code.get("counts")
    if isinstance(counts, bytes):
        counts = counts.decode("ascii", "replace")
    if isinstance(counts, str):
        counts = _uncompressed(counts)
    if isinstance(counts, np.ndarray):
        counts = counts.reshape(-1).tolist()
    if not isinstance(counts, list | tuple):
        raise DataError("A run-length code has no counts: expected a list or a text under 'counts'.")
    _require_filled(counts, rows, cols)
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return flat.reshape(cols, rows).T


def _require_filled(counts: Sequence[Any], rows: int, cols: int) -> None:
    """Stop counts that do not fill a mask, while they are Python's numbers: a sum of NumPy's wraps around."""
    pixels = rows * cols
    if not all(isinstance(count, int | np.integer) and 0 <= count <= pixels for count in counts):
        raise DataError(
            f"A run-length code has a count that is no whole number from 0 to {pixels}, the pixels of its "
            f"{rows} rows by {cols} columns. The file is damaged. Get it again."
        )
    filled = sum(map(int, counts))
    if filled != pixels:
        raise DataError(
            f"A run-length code counts {filled} pixels, where its size of {rows} rows by {cols} "
            "columns has another number. The file is damaged, or its size is given as columns by rows."
        )


def encode(mask: Bools) -> dict[str, Any]:
    """The COCO code of a mask, compressed, as `decode` takes it.

    >>> encode(np.array([[0, 1, 0], [1, 0, 0]], bool))
    {'size': [2, 3], 'counts': '123'}
    """
    flat = np.asarray(mask, dtype=bool).T.reshape(-1)
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = np.concatenate([[0], changes, [len(flat)]])
    lengths = np.diff(edges).tolist()
    if len(flat) and flat[0]:
        # The first run is one of zeros, and may be empty.
        lengths.insert(0, 0)
    return {"size": [int(side) for side in mask.shape], "counts": _compressed(lengths)}


def size_of(code: Mapping[str, Any]) -> tuple[int, int]:
    """Rows and columns of a code.

    Raises:
        DataError: It is no such code, states no size, or more pixels than an image may have.
    """
    size = code.get("size") if isinstance(code, Mapping) else None
    if not isinstance(size, Sequence) or len(size) != 2 or not all(isinstance(side, int) for side in size):
        raise DataError("A run-length code states no size: expected [rows, columns] under 'size'.")
    rows, cols = size
    if rows < 1 or cols < 1 or rows * cols > MAX_PIXELS:
        raise DataError(f"A run-length code is of {rows} rows by {cols} columns, which no image here has.")
    return rows, cols


def from_relative(codes: Iterable[str], size: tuple[int, int]) -> dict[str, Any]:
    """Kaggle's relative code of a mask as COCO's, as `decode` takes it; all rows of an image together.

    Each code is pairs of numbers: how many pixels to skip since the end of the last run, and how many to
    mark. "-1" marks nothing. Several codes of one image are several places, and all are marked.

    Raises:
        DataError: A code is no pairs of whole numbers, or leaves the image.

    >>> decode(from_relative(["1 2", "4 1"], (2, 3))).astype(int).tolist()
    [[0, 1, 1], [1, 0, 0]]
    """
    pixels = size[0] * size[1]
    runs = [run for code in codes for run in _relative_runs(code)]
    counts, end, marked_from = [], 0, -1
    for start, stop in sorted(runs):
        if stop > pixels:
            raise DataError(
                f"A relative run-length code runs past the image of {size[0]} rows by {size[1]} columns. "
                "Its starts may be absolute, or the image may have another size."
            )
        if marked_from < 0 or start > end:
            if marked_from >= 0:
                counts.append(end - marked_from)
            counts.append(start - end)
            marked_from = start
        # Runs of two codes may touch, or lie within each other.
        end = max(end, stop)
    if marked_from >= 0:
        counts.append(end - marked_from)
    if end < pixels:
        counts.append(pixels - end)
    return {"size": list(size), "counts": _compressed(counts)}


def _relative_runs(code: str) -> Iterator[tuple[int, int]]:
    """The runs of one code as (start, stop)."""
    words = code.split()
    if words == ["-1"]:
        return
    if len(words) % 2 or not all(_WHOLE.fullmatch(word) for word in words):
        raise DataError("A relative run-length code is no pairs of whole numbers, and not -1.")
    at = 0
    for skip, length in zip(words[::2], words[1::2], strict=True):
        start = at + int(skip)
        at = start + int(length)
        if at > start:
            yield start, at


def _uncompressed(text: str) -> list[int]:
    counts: list[int] = []
    at = 0
    while at < len(text):
        value, shift, more = 0, 0, True
        while more:
            if at >= len(text) or not 0 <= ord(text[at]) - _FIRST < 64 or shift > 60:
                raise DataError("A compressed run-length code is damaged: it ends early or has other signs.")
            piece = ord(text[at]) - _FIRST
            value |= (piece & _BITS) << shift
            more = bool(piece & _MORE)
            shift += 5
            at += 1
            if not more and piece & _SIGN:
                value -= 1 << shift
        if len(counts) > 2:
            # From the fourth on, what is stored is the difference to the count before the last.
            value += counts[-2]
        counts.append(value)
    return counts


def _compressed(counts: Sequence[int]) -> str:
    letters: list[str] = []
    for index, count in enumerate(counts):
        value = count - counts[index - 2] if index > 2 else count
        more = True
        while more:
            piece = value & _BITS
            value >>= 5
            done = -1 if piece & _SIGN else 0
            more = value != done
            letters.append(chr(_FIRST + (piece | (_MORE if more else 0))))
    return "".join(letters)
