"""The kinds of arrays that records hold."""

from __future__ import annotations

from typing import Any

import numpy as np

# Spelled out, because numpy.typing.NDArray is another kind of object in each version of numpy,
# and records are stored by these types.
Floats = np.ndarray[tuple[Any, ...], np.dtype[np.float32]]
Doubles = np.ndarray[tuple[Any, ...], np.dtype[np.float64]]
Ints = np.ndarray[tuple[Any, ...], np.dtype[np.int64]]
Bools = np.ndarray[tuple[Any, ...], np.dtype[np.bool_]]
Shorts = np.ndarray[tuple[Any, ...], np.dtype[np.uint16]]
