"""Tiny models to parametrize tests with: some in the fast suite, the others in the wide one."""

from __future__ import annotations

import pytest

from groundviz.testing.families import TINY

# One for each way in which the image reaches the text; the others share their code with one of these.
IN_THE_FAST_SUITE = {
    "llava": "one square, one token per patch",
    "llava with a class token": "a tower with a token of no place",
    "gemma3": "pooled patches",
    "qwen2_5_vl": "any shape, merged patches, a tower with windows",
    "llava_next": "an overview and tiles",
    "mllama": "cross-attention",
    "blip2": "a summary by a Q-Former",
    "idefics2": "a summary by a perceiver",
}
EVERY_KIND = [
    kind if kind in IN_THE_FAST_SUITE else pytest.param(kind, marks=pytest.mark.wide) for kind in TINY
]
