"""How a part of a run was made, in a file beside it that is written once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from groundviz.record import files


def keep(place: Path, facts: Mapping[str, Any]) -> None:
    """Write some facts; what is there stays: the name of its folder is their hash, so it says the same.

    Raises:
        StoreError: The disk refused.
    """
    if not place.exists():
        files.folder_for_writing(place.parent)
        content = json.dumps(facts, indent=2, sort_keys=True)
        files.write(place, f"{content}\n".encode())


def read(place: Path) -> dict[str, Any]:
    """The facts that were kept."""
    found: dict[str, Any] = json.loads(place.read_text("utf-8"))
    return found
