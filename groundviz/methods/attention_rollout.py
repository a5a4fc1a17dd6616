"""Attention rollout: where attention leads when it is followed through all layers."""

from __future__ import annotations

from groundviz.methods.toolkit.method import METHODS, each_token, laid_out
from groundviz.record.types import Answer, Heatmaps, Prompt, Target
from groundviz.runtime import Live


@METHODS.register(
    "attention_rollout",
    shows="Where it looked, layer upon layer: attention followed from the answer down to the image tokens.",
    unit="share of the flow",
    cost="one forward pass, and a second time its attention in chunks",
    source='Abnar and Zuidema, "Quantifying Attention Flow in Transformers", ACL 2020 (section 3)',
    known_failure=(
        "It mixes all heads and takes every look for a flow, so in deep models it drifts to the first "
        "tokens and to sinks, and is much the same for all words."
    ),
    contrasts=False,
)
def attention_rollout(
    live: Live, prompt: Prompt, answer: Answer, targets: tuple[Target, ...]
) -> list[Heatmaps]:
    """Multiply the attention of all layers, half of it and half of what passes by.

    Formula: R <- (A / 2 + I / 2) R from the first decoder layer to the last, A the mean over heads; the map
    is R[p - 1, j] for answer token p and image token j, aggregated as the mean over target tokens. A row of
    R adds up to 1 over all tokens; the cells of a map, to the image's part of it. It ends at the image
    tokens that enter the language model: the vision tower is not rolled out.
    Targets: every token; no contrasts.
    """
    return laid_out(
        live.rollout().cpu(),
        prompt.grids,
        each_token(answer),
        reduce=("mean", "mean", "mean"),
    )
