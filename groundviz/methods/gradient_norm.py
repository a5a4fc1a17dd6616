"""Gradient norm: how much the answer would change with a small change at each cell."""

from __future__ import annotations

from groundviz.methods.toolkit.gradients import cell_gradients
from groundviz.methods.toolkit.method import METHODS, laid_out
from groundviz.record.types import Answer, Heatmaps, Prompt, Target
from groundviz.runtime import Live


@METHODS.register(
    "gradient_norm",
    shows="How strongly the answer would react to a small change at each cell, for it or against it.",
    unit="nats per unit of the values",
    cost=(
        "one forward pass, and one backward pass per target; shared with the other gradient methods at the "
        "same site"
    ),
    source='Simonyan et al., "Deep Inside Convolutional Networks", 2013',
    known_failure=(
        "It says where the answer is sensitive, not whether what is there speaks for it; a saturated answer "
        "is sensitive nowhere. At the pixels it is grainy: there its highest value lies in the demo model's "
        "nodules 4 times in 10, against 9 in 10 in the tower."
    ),
    gradients=True,
    either_way=True,
)
def gradient_norm(
    live: Live, prompt: Prompt, answer: Answer, targets: tuple[Target, ...], *, at: str = "vision"
) -> list[Heatmaps]:
    """Take the length of the gradient at each cell of a site.

    Formula: the L2 norm over channels of dy/dx, with y the target's scalar and x the image at the site `at`:
    "vision" is the last layer of the tower that the model reads; any other layer, or "pixels".
    Targets: any, and contrasts. A phrase put together from its tokens adds up their norms.
    """
    site = live.site(at)
    _, gradients = cell_gradients(live, targets, site)
    return laid_out(gradients.norm(dim=-1).cpu(), live.grids(site), targets)
