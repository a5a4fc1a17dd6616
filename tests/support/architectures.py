"""One tiny random model of each kind of vision-language architecture, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from tests.support import crossing, merging
from tests.support.architecture import Architecture

ARCHITECTURES: Mapping[str, Callable[[], Architecture]] = {
    make.__name__: make
    for make in (
        merging.llava_llama,
        merging.llava_qwen2,
        merging.llava_mistral,
        merging.gemma3,
        crossing.mllama,
        crossing.blip2,
        crossing.blip2_t5,
        crossing.idefics2,
        merging.smolvlm,
        merging.qwen2_vl,
        merging.qwen2_5_vl,
        crossing.florence2,
    )
}


def build(name: str, seed: int = 0) -> Architecture:
    """The named architecture with random weights; the caller's random state is untouched.

    >>> build("mllama").attention.keys()
    dict_keys(['decoder', 'cross', 'vision'])
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ARCHITECTURES[name]()
