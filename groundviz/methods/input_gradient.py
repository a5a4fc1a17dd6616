"""Input times gradient: what each pixel or cell adds to the answer, to first order."""

from __future__ import annotations

from groundviz.methods.toolkit.gradients import cell_gradients, products
from groundviz.methods.toolkit.method import METHODS, laid_out
from groundviz.record.types import Answer, Heatmaps, Prompt, Target
from groundviz.runtime import Live


@METHODS.register(
    "input_gradient",
    shows="What each pixel, or each cell of a layer, adds to the answer's log-probability to first order.",
    unit="nats",
    cost=(
        "one forward pass, and one backward pass per target; shared with the other gradient methods at the "
        "same site"
    ),
    source=(
        'Shrikumar et al., "Not Just a Black Box", 2016; Simonyan et al., "Deep Inside Convolutional '
        'Networks", 2013'
    ),
    caution="On a real Gemma 3 it found a planted object in 1 of 3 places: compare with other methods.",
    known_failure=(
        "It measures against zero, which at the pixels is mid-grey and in a layer nothing in particular: "
        "what has the value zero gets no share however much it matters. Pixel maps are grainy: on the demo "
        "model's nodules the highest pixel lies in the nodule 2 times in 9, the highest cell of the "
        "projector 7 times in 10. Where what follows normalises each cell by itself, as behind the last "
        "layer of most towers, the products cancel: such a place is refused."
    ),
    gradients=True,
)
def input_gradient(
    live: Live, prompt: Prompt, answer: Answer, targets: tuple[Target, ...], *, at: str = "pixels"
) -> list[Heatmaps]:
    """Multiply the image at a site by its gradient there.

    Formula: sum over channels of x * dy/dx, with y the target's scalar and x the image at the site `at`:
    "pixels", as the model's preprocessing scales them, or a layer. Signed.
    Targets: any, and contrasts.
    """
    site = live.site(at)
    values, gradients = cell_gradients(live, targets, site)
    added = products(site, values, gradients)
    return laid_out(added.cpu(), live.grids(site), targets, signed=True)
