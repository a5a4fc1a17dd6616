"""HiResCAM: the features of a layer, each weighed at each cell by how much the answer depends on it there."""

from __future__ import annotations

import torch

from groundviz.methods.toolkit.gradients import layer_gradients, products
from groundviz.methods.toolkit.method import METHODS, laid_out
from groundviz.methods.toolkit.outcome import UNRELIABLE
from groundviz.record.types import Answer, Heatmaps, Prompt, Target
from groundviz.runtime import Live


@METHODS.register("hires_cam")
def hires_cam(
    live: Live, prompt: Prompt, answer: Answer, targets: tuple[Target, ...], *, at: str = "projector"
) -> list[Heatmaps]:
    """Which cells of a layer speak for the answer, every feature weighed at the cell where it is.

    Formula: max(0, sum over channels c of x_c * dy/dx_c), x the cells of the layer `at` and y the
    target's scalar. It is Grad-CAM without the averaging of gradients; the cut at zero is
    Grad-CAM's, and without it this is input_gradient at the layer.
    Unit: nats. Cost: one forward pass, and one backward pass per target; shared with the other
    gradient methods at the same layer.
    Targets: any, and contrasts. A phrase put together from its tokens adds up their maps.
    Source: Draelos and Carin, "Use HiResCAM instead of Grad-CAM", 2020.
    Known failure: on a real Gemma 3 it found a planted object in 1 of 3 places. Exact only where
    everything behind the layer is linear, which a decoder is not; first-order as input_gradient. On the
    demo model's nodules the highest cell lies in the nodule 6 times in 10. Where what follows
    normalises each cell by itself, the products cancel: refused.
    """
    values, gradients = layer_gradients(live, targets, at)
    maps = torch.relu(products(live.site(at), values, gradients))
    return laid_out(maps.cpu(), live.grids(live.site(at)), targets, unit="nats", params=UNRELIABLE)
