"""Gradient-weighted attention: the part of attention that the answer's probability hangs on."""

from __future__ import annotations

import numpy as np

from groundviz.methods.method import METHODS, on_grids
from groundviz.runtime import Live
from groundviz.types import Answer, Heatmaps, Prompt, Target


@METHODS.register("gradient_attention")
def gradient_attention(live: Live, prompt: Prompt, answer: Answer, target: Target) -> list[Heatmaps]:
    """Attention that raised the answer's probability: attention times its gradient, where positive.

    Formula: max(0, A * dy/dA) with y the log-probability of answer token p and A the attention row
    that predicts it; aggregated as the mean over heads, and the sum over layers and target tokens.
    To first order a cell's value is the log-probability lost if its attention were withdrawn.
    Unit: nats. Cost: one forward and one backward pass over the answer's tokens on the prompt's cache.
    Source: Chefer et al., "Generic Attention-model Explainability", ICCV 2021 (eq. 5, one layer at
    a time); gradients stay within a token's own row, so later tokens do not blur earlier ones.
    Known failure: saturated answers have small gradients, and cells that argue against the answer
    are cut off at zero.
    """
    shares, slopes = live.attention_gradients()
    return on_grids(
        np.maximum(shares * slopes, 0.0),
        prompt,
        method="gradient_attention",
        unit="nats",
        reduce=("sum", "sum", "mean"),
    )
