"""Tiny random models of every family: the real architectures, the real processors, in milliseconds.

Each file has builders called `tiny_...`, which return a model in eval mode and the processor that fits
it; `TINY` finds them by listing this folder. Weights are large enough that attention is far from
uniform, and the images that the models see are several image tokens wide; models that cut an image
into tiles do so with an image of 61 by 37 pixels.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib import import_module
from inspect import getmembers, isfunction
from pkgutil import iter_modules
from types import MappingProxyType
from typing import Any

from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor

Builder = Callable[[], tuple[Any, Any]]


def _llava(**options: Any) -> tuple[Any, Any]:
    model = tiny_llava(**options)
    return model, tiny_llava_processor(model)


def _listed() -> Iterator[tuple[str, Builder]]:
    yield "llava", _llava
    yield "llava with a class token", partial(_llava, vision="clip")
    for module in iter_modules(__path__):
        file = import_module(f"{__name__}.{module.name}")
        for name, made in getmembers(file, isfunction):
            if name.startswith("tiny_") and made.__module__ == file.__name__:
                yield name.removeprefix("tiny_"), made


# Builders of a model and its processor, by what the model is called.
TINY: Mapping[str, Builder] = MappingProxyType(dict(_listed()))
