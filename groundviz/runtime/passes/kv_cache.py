"""KV caches of transformers: where an output holds one, and a prompt's part of one without a copy."""

from __future__ import annotations

import copy
import inspect
from typing import Any

from transformers.cache_utils import DynamicCache, DynamicLayer

# The cache's name in outputs and forward passes, that of the newest release first. From 5.24 to 5.40
# transformers knows the older name as well, and warns of every access to it.
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
    """The option with which a model's forward pass continues a cache; None where it has none."""
    parameters = inspect.signature(model.forward).parameters
    for name in NAMES:
        if name in parameters:
            return {name: cache}
    return None


def keeps_keys(generation: Any) -> bool:
    """Whether a generation with this config leaves every key as it was when it was first used."""
    return (generation.num_beams or 1) == 1 and generation.cache_implementation in (None, "dynamic")


def only_grows(config: Any) -> bool:
    """Whether the cache of a model with this config drops no position: no layer has a window or chunks."""
    text = config.get_text_config()
    kinds = set(getattr(text, "layer_types", None) or ["full_attention"])
    limits = [getattr(text, name, None) for name in ("sliding_window", "attention_chunk_size")]
    return kinds == {"full_attention"} and not any(limits)


def prompt_cache(cache: Any, length: int) -> Any:
    """The first `length` positions of a KV cache as a new cache, sharing its memory.

    Appending to it allocates new memory, so the original is unchanged. None when the cache no longer
    holds those positions exactly (sliding windows, static or quantised caches).
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
