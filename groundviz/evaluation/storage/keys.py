"""Names of results by what they depend on: equal inputs, equal key, on every computer."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

DIGITS = 32


def key_of(facts: Any) -> str:
    """The first 32 hexadecimal digits of the SHA-256 of some facts as canonical JSON.

    Names are sorted, and floats are written with as many digits as bring them back. Tuples are lists, and
    NaN and infinity are texts.

    >>> key_of({"b": 1.5, "a": (1, 2)}) == key_of({"a": [1, 2], "b": 1.5})
    True
    """
    return hashlib.sha256(canonical(facts).encode()).hexdigest()[:DIGITS]


def canonical(facts: Any) -> str:
    """Some facts as JSON that is the same on every computer.

    >>> canonical({"b": float("nan"), "a": None})
    '{"a":null,"b":"nan"}'
    """
    return json.dumps(_plain(facts), sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256_of(content: bytes) -> str:
    """The SHA-256 of some bytes, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, set | frozenset):
        return sorted(_plain(one) for one in value)
    if isinstance(value, np.ndarray):
        # Masks are long: their bytes stand for them.
        content = np.ascontiguousarray(value)
        return [str(content.dtype), list(content.shape), sha256_of(content.tobytes())]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, bytes):
        return sha256_of(value)
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    # Options of a method may be of a type that JSON does not know.
    return repr(value)
