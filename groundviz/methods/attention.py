"""Attention: which image tokens each token of answer and question looked at."""

from __future__ import annotations

import numpy as np

from groundviz.methods.toolkit.method import (
    METHODS,
    each_token,
    laid_out,
)
from groundviz.record.targets import each_asked
from groundviz.record.types import Answer, Heatmaps, Prompt, Target
from groundviz.runtime import Live


@METHODS.register(
    "attention",
    shows="Where it looked: the share of attention that went to each image cell.",
    unit="share of attention",
    cost="no pass beyond the answer's own",
    source='Vaswani et al., "Attention Is All You Need", 2017',
    known_failure=(
        "Attention is no cause. Sinks draw mass whatever is asked, and a model looks at places it does not "
        'use; it is labelled "where it looked", never "why".'
    ),
    contrasts=False,
    question=True,
)
def attention(live: Live, prompt: Prompt, answer: Answer, targets: tuple[Target, ...]) -> list[Heatmaps]:
    """Lay out the attention rows that predict each token.

    Formula: A[layer, head, p - 1, j] for answer token p and image token j, the row that predicts p;
    aggregated as the mean over heads, layers and target tokens. The cells of a map add up to the share of
    attention that went to the image at all. For a token of the question it is the token's own row, when the
    model read it; nothing where the image comes after the question.
    Targets: every token, and every token of the question; no contrasts.
    """
    values, asked = live.attention(), live.question_attention()
    return laid_out(
        np.concatenate([values, asked]) if len(asked) else values,
        prompt.grids,
        (*each_token(answer), *each_asked(prompt)[: len(asked)]),
        reduce=("mean", "mean", "mean"),
        layers=live.attending_layers,
    )
