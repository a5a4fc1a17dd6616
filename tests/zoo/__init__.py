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

from tests.zoo.unbuilt import UNBUILT as UNBUILT

Builder = Callable[[], tuple[Any, Any]]


def _listed() -> Iterator[tuple[str, Builder]]:
    for module in iter_modules(__path__):
        file = import_module(f"{__name__}.{module.name}")
        for name, made in getmembers(file, isfunction):
            if name.startswith("tiny_") and made.__module__ == file.__name__:
                yield name.removeprefix("tiny_"), made


# Builders of a model and its processor, by the type's name with "_" for "-" and ".".
ZOO: Mapping[str, Builder] = MappingProxyType(dict(_listed()))
