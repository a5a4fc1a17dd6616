"""What was run on what: written once, and compared before anything is added to a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundviz.errors import StoreError
from groundviz.evaluation.storage.keys import canonical, key_of
from groundviz.evaluation.storage.layout import Layout
from groundviz.record import files

SCHEMA = 1
# What the results depend on. The rest is told, and may differ from one start to the next.
COMPARED = ("model", "dataset", "asked", "methods", "controls", "shard_size", "versions")
# Of these, what says only where they were found.
_WHERE = {"model": ("source", "loading", "certificate"), "dataset": ("source", "path")}
# What runs of earlier versions do not say.
_LATER = ("dataset.annotation_files",)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The facts of one run.

    Attributes:
        facts: As they stand in manifest.json.
    """

    facts: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.facts[name]

    @property
    def run_id(self) -> str:
        """The same for the same model, data set, methods and settings."""
        return key_of(self.compared())[:12]

    def compared(self) -> dict[str, Any]:
        """What another start has to agree with."""
        found = {}
        for part in COMPARED:
            value = self.facts.get(part)
            if part in _WHERE:
                value = {name: one for name, one in (value or {}).items() if name not in _WHERE[part]}
            found[part] = value
        return found

    def differences(self, other: Manifest) -> list[str]:
        """What differs between two runs, each as "name: this one, the other"."""
        mine, theirs = _flat(self.compared()), _flat(other.compared())
        for name in _LATER:
            if name not in mine:
                theirs.pop(name, None)
        return [
            f"{name}: {mine.get(name, 'nothing')}, now {theirs.get(name, 'nothing')}"
            for name in sorted(mine.keys() | theirs.keys())
            if mine.get(name) != theirs.get(name)
        ]


def write(path: Path, manifest: Manifest) -> Manifest:
    """Write the manifest of a new run, or take the one that is there if it says the same.

    Raises:
        StoreError: Another run lies there, or the disk refused.
    """
    content = json.dumps(
        {**manifest.facts, "schema": SCHEMA, "run_id": manifest.run_id}, indent=2, sort_keys=True, default=str
    )
    if not path.exists():
        try:
            files.write(path, f"{content}\n".encode(), overwrite=False)
        except StoreError:
            # Another process may have begun the same run this instant.
            if not path.exists():
                raise
    there = read(path)
    # As it reads once it has been written: JSON knows no tuples.
    differences = there.differences(Manifest(json.loads(content)))
    if differences:
        shown = "; ".join(differences[:6])
        more = f"; and {len(differences) - 6} more" if len(differences) > 6 else ""
        what, way = "and its results would be mixed with these", "Name"
        if not Layout(path.parent).explained():
            what, way = "which has no results yet", "Delete the folder if nobody works on it, name"
        raise StoreError(
            f"Another run lies in this folder, {what}. It differs in {shown}{more}. {way} another folder, or "
            "pass fork=True (--fork) to start a run beside it."
        )
    return there


def read(path: Path) -> Manifest:
    """The manifest of a run.

    Raises:
        StoreError: There is none, or it is damaged or too new.
    """
    try:
        facts = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise StoreError(
            "There is no run in this folder: it has no manifest.json. Name the folder that an evaluation was "
            "written to."
        ) from None
    except (OSError, ValueError):
        raise StoreError(
            "The run's manifest.json is damaged. Start the evaluation again in a new folder."
        ) from None
    schema = facts.get("schema") if isinstance(facts, dict) else None
    if schema != SCHEMA:
        raise StoreError(
            f"The run's schema is {schema!r}: expected {SCHEMA}. "
            "Update groundviz, or evaluate again in a new folder."
        )
    return Manifest(facts)


def _flat(value: Any, name: str = "") -> dict[str, str]:
    """Nested facts by dotted names, each as a short text."""
    if isinstance(value, Mapping) and value:
        found: dict[str, str] = {}
        for key, one in value.items():
            found |= _flat(one, f"{name}.{key}" if name else str(key))
        return found
    text = canonical(value)
    return {name: text if len(text) <= 60 else f"{text[:57]}..."}
