"""How much of the attention lies on the image, and on how few of its cells?"""

from __future__ import annotations

import math

import numpy as np

from groundviz.evidence.toolkit.check import CHECKS, MEASURED, Case, outcome
from groundviz.record.types import Check

TOP = 0.01


@CHECKS.register(
    "image_share",
    asks="How much of the attention lies on the image, and how much of that on its strongest cells?",
    unit="share of attention",
    cost="none: the attention that was read while the model answered",
    source="attention sinks, arXiv 2309.17453 and 2503.03321",
    known_failure="Says nothing about correctness: attention is alike for real and for invented objects.",
    when="always",
)
def image_share(case: Case) -> list[Check]:
    """The mean over answer tokens, layers and heads of the attention on the image's cells."""
    cells = case.live.attention().mean(axis=(0, 1, 2), dtype=np.float64)
    share = float(cells.sum())
    tokens = sum(span.stop - span.start for span in case.prompt.spans if span.kind == "image")
    # Through cross-attention or a resampler the image is not in the prompt token by token.
    even = tokens / len(case.prompt.tokens) if tokens == len(cells) else None
    few = max(1, math.ceil(TOP * len(cells)))
    top = float(np.sort(cells)[-few:].sum() / share) if share else 0.0
    beside = f", whose tokens are {even:.0%} of the prompt" if even is not None else ""
    says = (
        f"{share:.0%} of the attention lies on the image{beside}; "
        f"{top:.0%} of that lies on the strongest {few} of {len(cells)} cells."
    )
    numbers = {"on the strongest 1% of cells": top}
    return [outcome("image_share", MEASURED, says, value=share, reference=even, numbers=numbers)]
