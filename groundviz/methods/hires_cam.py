"""HiResCAM: the features of a layer, each weighed at each cell by how much the answer depends on it there."""

from __future__ import annotations

import torch

from groundviz.methods.toolkit.gradients import layer_gradients, products
from groundviz.methods.toolkit.method import METHODS, laid_out
from groundviz.record.types import Answer, Heatmaps, Prompt, Target
from groundviz.runtime import Live


@METHODS.register(
    "hires_cam",
    shows="Which cells of a layer speak for the answer, every feature weighed at the cell where it is.",
    unit="nats",
    cost=(
        "one forward pass, and one backward pass per target; shared with the other gradient methods at the "
        "same layer"
    ),
    source='Draelos and Carin, "Use HiResCAM instead of Grad-CAM", 2020',
    caution="On a real Gemma 3 it found a planted object in 1 of 3 places: compare with other methods.",
    known_failure=(
        "It is exact only where everything behind the layer is linear, which a decoder is not; it is "
        "first-order, as input_gradient. On the demo model's nodules the highest cell lies in the nodule 7 "
        "times in 10. Where what follows normalises each cell by itself, the products cancel: such a place "
        "is refused."
    ),
    gradients=True,
)
def hires_cam(
    live: Live, prompt: Prompt, answer: Answer, targets: tuple[Target, ...], *, at: str = "projector"
) -> list[Heatmaps]:
    """Multiply a layer by its gradient cell by cell, and keep what is positive.

    Formula: max(0, sum over channels c of x_c * dy/dx_c), x the cells of the layer `at` and y the target's
    scalar. It is Grad-CAM without the averaging of gradients; the cut at zero is Grad-CAM's, and without it
    this is input_gradient at the layer.
    Targets: any, and contrasts. A phrase put together from its tokens adds up their maps.
    """
    values, gradients = layer_gradients(live, targets, at)
    maps = torch.relu(products(live.site(at), values, gradients))
    return laid_out(maps.cpu(), live.grids(live.site(at)), targets)
