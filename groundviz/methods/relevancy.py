"""Relevancy: attention that raised the answer's probability, followed through all layers."""

from __future__ import annotations

from groundviz.methods.toolkit.method import METHODS, laid_out
from groundviz.record.types import Answer, Heatmaps, Prompt, Target
from groundviz.runtime import Live


@METHODS.register(
    "relevancy",
    shows="What the answer drew from the image, layer upon layer: relevancy after Chefer.",
    unit="relevancy",
    cost=(
        "one forward pass, and one backward pass per target; one forward and backward more for a foil of "
        "several tokens"
    ),
    source=(
        'Chefer et al., "Generic Attention-model Explainability for Interpreting Bi-Modal and '
        'Encoder-Decoder Transformers", ICCV 2021 (eq. 5 and 6, without the row normalisation of eq. 8)'
    ),
    known_failure=(
        "What argues against the answer is cut off at zero in each layer, and a saturated answer has small "
        "gradients. Few `layers` miss what was read early: the last one alone points at 70 % of the demo "
        "model's nodules, the last two at 97 %, all four at every one."
    ),
    gradients=True,
)
def relevancy(
    live: Live,
    prompt: Prompt,
    answer: Answer,
    targets: tuple[Target, ...],
    *,
    layers: int | None = None,
    checkpointing: bool = False,
) -> list[Heatmaps]:
    """Follow positive attention times gradient through all layers, after Chefer.

    Formula: R <- R + Abar R from the first decoder layer to the last, R the identity at first, with Abar =
    mean_h max(0, A * dy/dA) and y the target's scalar; the map is the sum of R[p - 1, j] over the rows that
    predict the target's tokens. A contrast is the relevancy of one scalar: where target and foil part, both
    are read from one row and one gradient; what a foil of several tokens would say after that is followed in
    a pass of its own, and added. `layers` follows the last so many layers alone: in deep models the sum over
    all paths spreads over the whole image. `checkpointing` computes each layer twice and holds little in
    memory.
    Values are sums of nats and of their products along paths.
    Targets: those that are asked for, each as a whole, and contrasts.
    """
    return laid_out(
        live.relevancy(targets, layers=layers, checkpointing=checkpointing).cpu(),
        prompt.grids,
        targets,
        reduce=("sum", "mean", "mean"),
    )
