"""Tiny random models, with their real processors, of transformers' image-text-to-text types.

Families that groundviz has a file for are in `groundviz.testing.families`. `ZOO` finds the builders of all
others by listing this folder; `UNBUILT` says why there is none of a type.
"""

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from inspect import getmembers, isfunction
from pkgutil import iter_modules
from types import MappingProxyType
from typing import Any

Builder = Callable[[], tuple[Any, Any]]


def _files() -> Iterator[Any]:
    for module in iter_modules(__path__):
        yield import_module(f"{__name__}.{module.name}")


def _listed() -> Iterator[tuple[str, Builder]]:
    for file in _files():
        for name, made in getmembers(file, isfunction):
            if name.startswith("tiny_") and made.__module__ == file.__name__:
                yield name.removeprefix("tiny_"), made


def _unbuilt() -> Iterator[tuple[str, str]]:
    for file in _files():
        yield from getattr(file, "UNBUILT", {}).items()


# Builders of a model and its processor, by the type's name with "_" for "-" and ".".
ZOO: Mapping[str, Builder] = MappingProxyType(dict(_listed()))
UNBUILT: Mapping[str, str] = MappingProxyType(dict(_unbuilt()))
