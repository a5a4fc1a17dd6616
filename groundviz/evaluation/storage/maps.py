"""Maps at the model's own cells, two bytes for each, in one safetensors file for each shard."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from groundviz.errors import StoreError
from groundviz.record.types import Floats

# The largest power of two that a float16 holds; a map is scaled so that its largest value lies below it.
_TOP = 15


def halved(values: Floats) -> tuple[npt.NDArray[np.float16], float]:
    """A map as float16, and the power of two that its cells are to be multiplied with.

    The scale keeps 11 binary digits of every cell down to about 2e-9 of the largest. NaN stays NaN.

    >>> halves, scale = halved(np.array([[3e-7, np.nan]], np.float32))
    >>> bool(abs(float(halves[0, 0]) * scale / 3e-7 - 1) < 5e-4)
    True
    """
    seen = np.abs(values[np.isfinite(values)])
    largest = float(seen.max()) if seen.size else 0.0
    scale = 1.0
    if largest > 0:
        # Powers of two alone: to multiply with them rounds nothing.
        scale = math.ldexp(1.0, math.frexp(largest)[1] - _TOP)
    return (values.astype(np.float64) / scale).astype(np.float16), scale


def doubled(halves: npt.NDArray[np.float16], scale: float) -> Floats:
    """The map that `halved` stored, float32."""
    return (halves.astype(np.float64) * scale).astype(np.float32)


def packed(maps: Mapping[str, npt.NDArray[np.float16]]) -> bytes:
    """Maps by their keys as the bytes of one file; equal maps give equal bytes."""
    # safetensors wants the rows of an array to lie one behind the other.
    content: bytes = safetensors.numpy.save({key: np.ascontiguousarray(one) for key, one in maps.items()})
    return content


def read(path: Path, keys: list[str]) -> dict[str, npt.NDArray[Any]]:
    """Some maps of a file.

    Raises:
        StoreError: The file is not there or damaged, or lacks one of them.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as stream:
            return {key: stream.get_tensor(key) for key in keys}
    except (OSError, safetensors.SafetensorError):
        raise StoreError(
            f"The maps of the run cannot be read ({path.parent.name}/{path.name}). "
            "Start the same evaluation again: what is missing or damaged is computed again."
        ) from None
