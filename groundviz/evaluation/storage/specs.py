"""How a part of a run was made, in a file beside it that is written once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from groundviz.errors import StoreError
from groundviz.evaluation.storage.keys import key_of
from groundviz.record import files

_SPEC = "spec.json"
# When it was asked for, among its like. Times of files would be lost when a run is copied.
_NUMBER = "number"


def name_of(facts: Mapping[str, Any]) -> str:
    """The name of the folder in which some facts are kept: their hash."""
    return key_of(facts)[:16]


def keep(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write some facts into the folder of their name; what is there stays, unless it is damaged.

    Raises:
        StoreError: The disk refused.
    """
    if _read(folder / _SPEC) is not None:
        return
    files.folder_for_writing(folder)
    number = 1 + max((_order(place)[0] for place in _places(folder.parent)), default=0)
    content = json.dumps({**facts, _NUMBER: number}, indent=2, sort_keys=True)
    files.write(folder / _SPEC, f"{content}\n".encode())


def names(parent: Path) -> list[str]:
    """The names of the folders in which facts are kept, in the order in which these were asked for."""
    return [place.parent.name for place in sorted(_places(parent), key=_order)]


def read(folder: Path) -> dict[str, Any]:
    """The facts that were kept.

    Raises:
        StoreError: They are damaged.
    """
    found = _read(folder / _SPEC)
    if found is None:
        where = f"{folder.parent.name}/{folder.name}"
        raise StoreError(
            f"The file {where}/{_SPEC} of the run is damaged, which says how what lies beside it was made. "
            f"Ask for the same again, which writes it anew, or remove {where}."
        )
    return _facts(found)


def _places(parent: Path) -> list[Path]:
    return list(parent.glob(f"*/{_SPEC}"))


def _order(place: Path) -> tuple[int, int, str]:
    """What sorts files; those of earlier versions have no number, and were there before."""
    number = (_read(place) or {}).get(_NUMBER)
    if isinstance(number, int):
        return number, 0, place.parent.name
    return 0, place.stat().st_mtime_ns, place.parent.name


def _read(place: Path) -> dict[str, Any] | None:
    """What a file says; None where it is not there or damaged."""
    try:
        found = json.loads(place.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or place.parent.name != name_of(_facts(found)):
        return None
    return found


def _facts(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name != _NUMBER}
