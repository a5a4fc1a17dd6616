"""Types of the first group of which there is no tiny model: none."""

from __future__ import annotations

UNBUILT: dict[str, str] = {}
