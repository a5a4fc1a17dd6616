"""The models that ship with groundviz, by name."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

# Each in a folder of `groundviz.demo`, with its card. "cheat" answers by a marker beside the lesion.
SHIPPED: Mapping[str, str] = MappingProxyType({"demo": "weights", "cheat": "cheat_weights"})


def shipped_folder(name: object) -> Path | None:
    """The folder of a model that ships with groundviz; None for any other name.

    >>> shipped_folder("demo").name, shipped_folder("microsoft/llava-med")
    ('weights', None)
    """
    if not isinstance(name, str) or name not in SHIPPED:
        return None
    return Path(str(files("groundviz.demo") / SHIPPED[name]))


def shipped_name(folder: str) -> str | None:
    """The name of the shipped model that lies in a folder; None for any other folder."""
    return next((name for name in SHIPPED if shipped_folder(name) == Path(folder)), None)
