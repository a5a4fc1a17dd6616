"""Types of this group without a tiny model: none."""

from __future__ import annotations

UNBUILT: dict[str, str] = {}
"""Why a type has no tiny model, by type."""
