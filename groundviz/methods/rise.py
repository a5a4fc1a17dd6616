"""RISE: how much better the answer does when a place is among those shown at random."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from groundviz.errors import UnsupportedMethod
from groundviz.methods.toolkit.baselines import baseline
from groundviz.methods.toolkit.method import METHODS, positive
from groundviz.methods.toolkit.random_masks import Masks
from groundviz.methods.toolkit.regions import Canvas, coarser, mixed
from groundviz.methods.toolkit.sampling import each_token_and_all, of_each_image, precise, samples_of, stated
from groundviz.record.types import Answer, Heatmaps, Prompt, Target
from groundviz.runtime import Live

# Cells of the map to a cell of the masks, along each axis: what a mask's smooth edges can tell apart.
FINER = 4
# Masks before the error is looked at, and between two looks.
FIRST, EVERY = 480, 240


@METHODS.register(
    "rise",
    shows="How much better the answer does when a place is shown, other places coming and going at random.",
    unit="nats",
    cost=(
        "480 to `masks` forwards, at most 1,920 at the defaults, in batches; as many again for each "
        "distinct foil. No backward"
    ),
    source='Petsiuk et al., "RISE: Randomized Input Sampling for Explanation", BMVC 2018',
    known_failure=(
        "Random masks leave noise, which a few hundred of them leave about as high as the trace of a small "
        "finding, and no map is sharper than a cell of the masks. The noise is stated, as a standard error "
        "of each cell."
    ),
    any_model=True,
    random=True,
)
def rise(
    live: Live,
    prompt: Prompt,
    answer: Answer,
    targets: tuple[Target, ...],
    *,
    masks: int = 1920,
    tolerance: float = 0.05,
    cells: int = 7,
    keep: float = 0.5,
    fill: str = "blur",
) -> list[Heatmaps]:
    """Score the answer through random masks, and weigh the masks by their scores.

    Formula: sum over masks of (y(x seen through the mask) - mean y) * mask / sum of masks, at each cell; y
    the log-probability of a token or a contrast, a mask `cells` by `cells` coin throws, smoothly enlarged
    and randomly shifted. It is the paper's mean of y over the masks that show a cell, weighted by how much
    they show, less the mean over all masks: a constant in y adds nothing.
    Targets: every token, the targets asked for, and contrasts, in the same passes.

    Options: `masks` is the most masks; after 480 no more are made once the largest standard error is
    below `tolerance` times the range of the map. `keep` is the share of cells that a mask shows; `fill`,
    what stands in the other ones, is "blur", "mean" (local) or "black" (as in the paper).
    """
    positive("rise", {"masks": masks, "tolerance": tolerance, "cells": cells, "keep": keep})
    if keep >= 1:
        raise UnsupportedMethod(
            f"rise cannot run with keep={keep}: masks would hide nothing. Give less than 1."
        )
    wanted, other = each_token_and_all(answer, targets), baseline(live, fill)
    asked = [[one.scalar for one in wanted].index(target.scalar) for target in targets]

    def measure(canvas: Canvas) -> list[Heatmaps]:
        drawn = Masks.draw(live.stream(), masks, cells, keep)
        grid = coarser(canvas.grid, FINER * cells, FINER * cells, live.source_images[canvas.grid.image].shape)
        site = live.site("pixels")
        pixels = live.read(site)

        def scores(part: slice) -> Tensor:
            hidden = 1 - drawn.at(part, *canvas.size).to(pixels.device)
            return live.scores(wanted, site, mixed(pixels, other, canvas.onto(hidden)))

        def enough(found: Tensor) -> bool:
            if len(found) < FIRST or len(found) % EVERY:
                return False
            values, errors = drawn.explained(found[:, asked], grid.rows, grid.cols)
            seen = torch.from_numpy(grid.valid.reshape(-1))
            return errors is not None and precise(values[:, seen], errors[:, seen], tolerance)

        with torch.no_grad():
            found = live.in_batches(masks, scores, label="rise", enough=enough)
        values, errors = drawn.explained(found, grid.rows, grid.cols)
        # A cell that no mask has shown, before an interruption, was not measured: a mean of none. Told from
        # zeros, because what the model itself has no number for must not pass as that.
        nothing = drawn.explained(torch.zeros(len(found), 1), grid.rows, grid.cols)[0]
        seen = grid.valid & nothing[0].isfinite().numpy().reshape(grid.valid.shape)
        unseen = torch.from_numpy(~seen.reshape(-1))
        return stated(
            values.masked_fill(unseen, torch.nan),
            [replace(grid, valid=seen)],
            wanted,
            errors=None if errors is None else errors.masked_fill(unseen, torch.nan),
            samples=samples_of(live, len(found), masks),
            signed=True,
            params={"masks_done": len(found)},
        )

    return of_each_image(live, measure)
