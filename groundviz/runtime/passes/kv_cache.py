"""Key-value caches: where transformers keeps one, and the prompt's part of one, without copying it."""

from __future__ import annotations

import copy
import inspect
from typing import Any

from transformers.cache_utils import DynamicCache, DynamicLayer

# What an output and a forward pass call the cache, the newest release's name first. From 5.24 to 5.40
# transformers knows the older one as well, and warns of it even when it is only looked for.
NAMES = ("cache", "past_key_values")


def cache_of(output: Any) -> Any:
    """The cache in a model's output or a generation's; None where it holds none."""
    # Neither `getattr` nor `in`: both warn of the name that is not in use.
    held = getattr(output, "__dict__", {})
    for name in NAMES:
        if held.get(name) is not None:
            return held[name]
    return None


def on_cache(model: Any, cache: Any) -> dict[str, Any] | None:
    """The option with which a model's forward pass goes on from a cache; None where it has no such option."""
    parameters = inspect.signature(model.forward).parameters
    for name in NAMES:
        if name in parameters:
            return {name: cache}
    return None


def keeps_keys(generation: Any) -> bool:
    """Whether a generation with this config leaves every key as it was when it was first used."""
    return (generation.num_beams or 1) == 1 and generation.cache_implementation in (None, "dynamic")


def prompt_cache(cache: Any, length: int) -> Any:
    """The first `length` positions of a cache as a new cache, sharing its memory.

    What is appended to it goes to new memory: the original stays as it is. None when the cache
    does not hold those positions as they were (sliding windows, static or quantised caches).
    """
    if type(cache) is not DynamicCache or any(type(layer) is not DynamicLayer for layer in cache.layers):
        return None
    if cache.get_seq_length() < length:
        return None
    part: Any = copy.copy(cache)
    part.layers = [copy.copy(layer) for layer in cache.layers]
    for layer in part.layers:
        layer.keys, layer.values = layer.keys[:, :, :length], layer.values[:, :, :length]
    return part
