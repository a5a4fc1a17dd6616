"""Gradient-weighted attention: the part of attention that the answer's probability depends on."""

from __future__ import annotations

import numpy as np

from groundviz.methods.toolkit.method import METHODS, each_token_and, laid_out
from groundviz.record.types import Answer, Floats, Heatmaps, Prompt, Target
from groundviz.runtime import Live


@METHODS.register(
    "gradient_attention",
    shows="Attention that raised the answer's probability: attention times its gradient, where positive.",
    unit="nats",
    cost=(
        "one forward and one backward pass over the answer's tokens on the prompt's cache; as much again "
        "for each contrast"
    ),
    source=(
        'Chefer et al., "Generic Attention-model Explainability", ICCV 2021 (eq. 5, one layer at a time); '
        "gradients stay within a token's own row, so later tokens do not blur earlier ones"
    ),
    known_failure=(
        "Saturated answers have small gradients, and cells that argue against the answer are cut off at zero."
    ),
    gradients=True,
)
def gradient_attention(
    live: Live, prompt: Prompt, answer: Answer, targets: tuple[Target, ...]
) -> list[Heatmaps]:
    """Multiply attention by its gradient, and keep what is positive.

    Formula: max(0, A * dy/dA) with y the log-probability of answer token p and A the attention row that
    predicts it; aggregated as the mean over heads, and the sum over layers and target tokens. A contrast
    takes the difference of A * dy/dA step by step, before the cut at zero: at the first step both words are
    read from one row, and the difference is the gradient of theirs. To first order a cell's value is the
    log-probability lost if its attention were withdrawn.
    Targets: every token, and contrasts.
    """
    own = _products(live, None)
    foils = [_contrast(live, own, answer, target) for target in targets if target.foil]
    return laid_out(
        np.concatenate([np.maximum(own, 0.0), *foils]),
        prompt.grids,
        each_token_and(answer, targets),
        reduce=("sum", "sum", "mean"),
        layers=live.attending_layers,
    )


def _products(live: Live, token_ids: tuple[int, ...] | None) -> Floats:
    shares, gradients = live.attention_gradients(token_ids)
    return np.asarray(shares * gradients, dtype=np.float32)


def _contrast(live: Live, own: Floats, answer: Answer, target: Target) -> Floats:
    """One map (1, layer, head, cell): a target's products less its foil's, step by step."""
    assert target.foil is not None  # noqa: S101 - for the type checker
    start = target.tokens[0]
    said = (*answer.token_ids[:start].tolist(), *target.foil.token_ids)
    other = _products(live, said)[start:]
    this = own[list(target.tokens)]
    steps = np.zeros((max(len(this), len(other)), *own.shape[1:]), np.float32)
    steps[: len(this)] += this
    steps[: len(other)] -= other
    return np.asarray(np.maximum(steps, 0.0).sum(axis=0, keepdims=True), dtype=np.float32)
