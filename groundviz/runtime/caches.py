"""Key-value caches: the prompt's part of one, without copying it."""

from __future__ import annotations

import copy
from typing import Any

from transformers.cache_utils import DynamicCache, DynamicLayer


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
