"""Relative attention: where it looked because of what was asked."""

from __future__ import annotations

import numpy as np

from groundviz.methods.toolkit.method import METHODS, each_token, laid_out
from groundviz.record.types import Answer, Heatmaps, Prompt, Target
from groundviz.runtime import Live


@METHODS.register(
    "relative_attention",
    shows="Where the question drew it: attention under the question over attention under a neutral one.",
    unit="times the neutral attention",
    cost="one forward pass under the neutral instruction",
    source=(
        'Zhang et al., "MLLMs Know Where to Look", ICLR 2025 (section 4); they take one layer, chosen on a '
        'data set, and ask to "Write a general description of the image."'
    ),
    known_failure=(
        "Where the neutral instruction makes the model look at the same place, the place cancels out: a "
        "model that looks for findings whatever it is asked may get a map without them. With a `floor` of 0 "
        "cells that nothing attends to are divided by next to nothing."
    ),
    contrasts=False,
)
def relative_attention(
    live: Live,
    prompt: Prompt,
    answer: Answer,
    targets: tuple[Target, ...],
    *,
    neutral: str = "Describe the image.",
    floor: float = 1.0,
) -> list[Heatmaps]:
    """Divide attention under the question by attention under a neutral instruction.

    Formula: mean_h A_question[layer, h, p - 1, j] / max(mean_h A_neutral[layer, h, p - 1, j], f), both read
    while the same answer tokens are generated; aggregated as the mean over layers and target tokens. For the
    first answer token this is the paper's ratio, which has no floor f. Here f is `floor` times the neutral
    attention's mean over the image: a cell that is attended to less than that whatever is asked would be
    divided by noise. A `floor` of 0 gives the paper's ratio; a cell without neutral attention is then 0.
    Targets: every token; no contrasts.
    """
    control = live.ask(neutral)
    control.answer(control.prompt, given=answer.token_ids.tolist())
    asked, usual = (one.attention().mean(axis=2, keepdims=True) for one in (live, control))
    least = np.maximum(usual, floor * usual.mean(axis=-1, keepdims=True))
    return laid_out(
        np.divide(asked, least, out=np.zeros_like(asked), where=least > 0),
        prompt.grids,
        each_token(answer),
        reduce=("mean", "mean", "mean"),
        layers=live.attending_layers,
    )
