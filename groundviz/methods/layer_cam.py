"""LayerCAM: the features of a layer, each weighed at each cell by its gradient where that is positive."""

from __future__ import annotations

import torch

from groundviz.methods.toolkit.gradients import layer_gradients
from groundviz.methods.toolkit.method import METHODS, laid_out
from groundviz.record.types import Answer, Heatmaps, Prompt, Target
from groundviz.runtime import Live


@METHODS.register(
    "layer_cam",
    shows="Which cells of a layer hold features whose growth would make the answer more probable.",
    unit="nats",
    cost=(
        "one forward pass, and one backward pass per target; shared with the other gradient methods at the "
        "same layer"
    ),
    source=(
        'Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization", IEEE TIP '
        "2021"
    ),
    known_failure=(
        "It was made for features behind a ReLU, which are never negative. Those of a transformer are: a "
        "negative feature that speaks for the answer (x < 0, dy/dx < 0) is left out, and values are not to "
        "be read as shares of the answer."
    ),
    gradients=True,
)
def layer_cam(
    live: Live, prompt: Prompt, answer: Answer, targets: tuple[Target, ...], *, at: str = "projector"
) -> list[Heatmaps]:
    """Multiply a layer by its positive gradients, and keep what is positive.

    Formula: max(0, sum over channels c of x_c * max(0, dy/dx_c)), x the cells of the layer `at` and y the
    target's scalar.
    Targets: any, and contrasts. A phrase put together from its tokens adds up their maps.
    """
    values, gradients = layer_gradients(live, targets, at)
    maps = torch.relu((values * torch.relu(gradients)).sum(dim=-1))
    return laid_out(maps.cpu(), live.grids(live.site(at)), targets)
