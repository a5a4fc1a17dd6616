"""Sizes as image processors write them."""

from __future__ import annotations

from typing import Any


def square(side: int) -> dict[str, Any]:
    """The size of a square.

    >>> square(16)
    {'height': 16, 'width': 16}
    """
    return {"height": side, "width": side}
