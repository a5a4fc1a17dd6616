"""The form of a payload: the length of its header, the header in JSON, the bytes that this points into."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any


def framed(header: Mapping[str, Any], blobs: Sequence[bytes]) -> bytes:
    """A payload of a header and the blobs that it points into."""
    text = json.dumps(header, allow_nan=False, sort_keys=True, separators=(",", ":")).encode()
    return b"".join([struct.pack("<I", len(text)), text, *blobs])


def blob_at(payload: bytes, start: int, at: Sequence[int]) -> bytes:
    """The bytes at (start, length) behind a header that ends at `start`."""
    return payload[start + at[0] : start + at[0] + at[1]]


def add(blob: bytes, blobs: list[bytes]) -> list[int]:
    """Where a blob comes to stand, as (start, length)."""
    start = sum(map(len, blobs))
    blobs.append(blob)
    return [start, len(blob)]
