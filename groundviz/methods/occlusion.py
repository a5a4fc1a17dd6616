"""Occlusion: what the answer loses when one place of the image is hidden."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from groundviz.methods.toolkit.baselines import baseline
from groundviz.methods.toolkit.inpainting import biharmonic, telea
from groundviz.methods.toolkit.method import METHODS, each_token_and, positive
from groundviz.methods.toolkit.regions import Canvas, Regions, in_pixels, mixed, pieces_of, shown
from groundviz.methods.toolkit.sampling import of_each_image, rounding, samples_of, stated
from groundviz.record.types import Answer, Floats, Heatmaps, Prompt, Target
from groundviz.runtime import Live

INPAINTING = {"inpaint": biharmonic, "telea": telea}


@METHODS.register(
    "occlusion",
    shows="What the answer loses when one place is hidden: the drop of its log-probability.",
    unit="nats",
    cost=(
        "one forward per window and one more: 197 at the defaults, in batches; as many again for each "
        "distinct foil. No backward"
    ),
    source='Zeiler & Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014',
    known_failure=(
        "A blurred window can look like a finding itself, and hides little of a finding wider than it. On "
        "the demo model's nodules its highest cell is on the nodule in 6 of 9 fresh phantoms. What two "
        "places show alike is missed, for hiding either of them costs nothing. In a model in 16 bits, "
        "`rounding` in `params` says how far scores move, in nats, when only the last digit of the pixels "
        "does."
    ),
    any_model=True,
)
def occlusion(
    live: Live,
    prompt: Prompt,
    answer: Answer,
    targets: tuple[Target, ...],
    *,
    window: float = 1 / 7,
    stride: float = 1 / 14,
    regions: str = "grid",
    fill: str = "blur",
) -> list[Heatmaps]:
    """Hide one window after the other, and score the answer each time.

    Formula: y(x) - y(x with the window around the cell filled), y the log-probability of a token or a
    contrast. Above zero the place spoke for the answer, below zero against it.
    Targets: every token, and contrasts, in the same passes.

    Options: `window` and `stride` up to 1 are shares of the image's shorter side (of an eighth of the longer
    one, where that is more), above that model pixels; the stride is stretched so that whole cells fill the
    image. `regions` is "grid", or "superpixels": as many pieces (SLIC zero) as there would be windows, hidden
    one by one. `fill` is "blur", "mean" (local), "inpaint" (biharmonic, from the rim of each window), "telea"
    (faster for large windows; needs OpenCV) or "black".
    """
    positive("occlusion", {"window": window, "stride": stride})
    wanted = each_token_and(answer, targets)
    with torch.no_grad():
        whole = live.scores(wanted)
    rest = rounding(live, targets, live.site("pixels"))

    def measure(canvas: Canvas) -> list[Heatmaps]:
        wide, apart = in_pixels(canvas, window), in_pixels(canvas, stride)
        pieces = pieces_of(live, canvas, regions, stride=apart, window=wide)
        found = _hidden(live, canvas, pieces, wanted, fill)
        # After an interruption, the places that were not reached are out of the grid's view: NaN, not 0.
        grid, values = pieces.drawn(whole - found)
        samples = samples_of(live, len(found), pieces.count)
        params = {"windows_done": len(found), **rest}
        return stated(values, [grid], wanted, samples=samples, signed=True, params=params)

    return of_each_image(live, measure)


def _hidden(live: Live, canvas: Canvas, pieces: Regions, wanted: tuple[Target, ...], fill: str) -> Tensor:
    """The scalars with each piece hidden by itself, (piece, target)."""
    site = live.site("pixels")
    pixels = live.read(site)
    inpaint = INPAINTING.get(fill)
    other = pixels if inpaint else baseline(live, fill)

    def scores(part: slice) -> Tensor:
        hidden = pieces.spread(torch.eye(pieces.count, device=pixels.device)[part])
        filled = _inpainted(live, canvas, hidden, inpaint).to(pixels) if inpaint else other
        return live.scores(wanted, site, mixed(pixels, filled, canvas.onto(hidden)))

    with torch.no_grad():
        return live.in_batches(pieces.count, scores, label="occlusion")


def _inpainted(live: Live, canvas: Canvas, hidden: Tensor, inpaint: Callable[..., Floats]) -> Tensor:
    """The pixels with each hidden place drawn from what surrounds it: (batch, cell, channel)."""
    image = shown(live, canvas)
    drawn = [inpaint(image, mask) for mask in hidden.cpu().numpy() > 0]
    colours = torch.from_numpy(np.stack(drawn)).float().unbind(dim=-1)
    return torch.cat([canvas.onto(one) for one in colours], dim=-1)
