"""Shapley values: each place's fair share of what the image adds to the answer."""

from __future__ import annotations

import torch
from torch import Tensor

from groundviz.methods.toolkit.baselines import baseline
from groundviz.methods.toolkit.coalitions import Pairs
from groundviz.methods.toolkit.method import METHODS, positive
from groundviz.methods.toolkit.regions import Canvas, mixed, pieces_of
from groundviz.methods.toolkit.sampling import each_token_and_all, of_each_image, precise, samples_of, stated
from groundviz.record.types import Answer, Heatmaps, Prompt, Target
from groundviz.runtime import Live

# Passes to a place before the error is looked at.
FIRST = 10


@METHODS.register(
    "shapley",
    shows="Each place's share of what the image adds to the answer's log-probability, fairly divided.",
    unit="nats",
    cost=(
        "10 to `samples` forwards for each place and two more, 492 to 1,962 at the defaults, in batches; as "
        "many again for each distinct foil. No backward"
    ),
    source=(
        "Strumbelj & Kononenko, JMLR 2010; least squares: Lundberg & Lee, NeurIPS 2017; sets in pairs: "
        "Covert & Lee, AISTATS 2021"
    ),
    known_failure=(
        "No map is sharper than its cells, random sets leave noise, and half-filled images are like nothing "
        "the model has seen. The noise is stated, as a standard error of each cell."
    ),
    any_model=True,
    random=True,
)
def shapley(
    live: Live,
    prompt: Prompt,
    answer: Answer,
    targets: tuple[Target, ...],
    *,
    regions: str = "grid",
    cells: int = 49,
    samples: int = 40,
    tolerance: float = 0.05,
    fill: str = "blur",
) -> list[Heatmaps]:
    """Score the answer on random sets of places, and fit each place's share.

    Formula: the Shapley value: the mean, over all orders of the places, of what y gains when the place is
    shown after those before it; y the log-probability of a token or a contrast. The values are found as the
    shares that fit (y(S) - y(not S)) / 2 best in the least squares, over random sets S of places and all
    others, drawn by the Shapley kernel. The places of a map add up to y(x) - y(filled image), whatever the
    number of sets. Where all sets together cost no more, all are taken, and the values are exact.
    Targets: every token, the targets asked for, and contrasts, in the same passes.

    Options: `regions` is "grid" or "superpixels" (SLIC zero); `cells` is about how many of them; `samples`
    is the most passes for each place, and 4 at the least; after 10 no more are made once the largest
    standard error is below `tolerance` times the range of the map; `fill` is "blur", "mean" or "black".
    """
    positive("shapley", {"cells": cells, "samples": samples, "tolerance": tolerance})
    wanted, other = each_token_and_all(answer, targets), baseline(live, fill)
    asked = [[one.scalar for one in wanted].index(target.scalar) for target in targets]

    def measure(canvas: Canvas) -> list[Heatmaps]:
        rows, cols = canvas.size
        pieces = pieces_of(live, canvas, regions, stride=(rows * cols / cells) ** 0.5, count=cells)
        pairs = Pairs.draw(live.stream(), pieces.count, samples)
        site = live.site("pixels")
        pixels = live.read(site)

        def scores(part: slice) -> Tensor:
            hidden = canvas.onto(pieces.spread((~pairs.at(part)).float().to(pixels.device)))
            return live.scores(wanted, site, mixed(pixels, other, hidden))

        def enough(found: Tensor) -> bool:
            fitted = pairs.shares(found, gain) if len(found) >= FIRST * pieces.count else None
            if fitted is None or fitted[1] is None:
                return False
            return precise(fitted[0].T[asked], fitted[1].T[asked], tolerance)

        with torch.no_grad():
            everything = canvas.onto(torch.ones(1, *canvas.size, device=pixels.device))
            nothing = live.scores(wanted, site, mixed(pixels, other, everything))
            gain = (live.scores(wanted) - nothing)[0]
            found = nothing[:0]
            if pairs.passes:
                found = live.in_batches(pairs.passes, scores, label="shapley", enough=enough)
        fitted = pairs.shares(found, gain)
        if fitted is None:  # Interrupted before there was a share to tell.
            raise KeyboardInterrupt
        values, errors = fitted
        grid, drawn = pieces.drawn(values)
        return stated(
            drawn,
            [grid],
            wanted,
            errors=None if errors is None else pieces.drawn(errors)[1],
            samples=samples_of(live, len(found), pairs.passes),
            signed=True,
            params={"passes_done": len(found)},
        )

    return of_each_image(live, measure)
