"""Optimised masks: the places that suffice for the answer, and those it cannot do without."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate, softplus

from groundviz.methods.method import METHODS, laid_out
from groundviz.runtime import Live
from groundviz.runtime.baselines import baseline, blurred
from groundviz.runtime.regions import coarser, mixed, picture, positive
from groundviz.types import Answer, Heatmaps, Prompt, Target

# Sigmas as shares of the shorter side. A mask must do for each of them, so that it cannot live on
# what one width of blur happens to look like.
BLURS = (0.05, 0.1, 0.2)
START, PACE, MOMENTUM = 2.0, 0.7, 0.5
# Keeps the pull on a mask that has not changed a certain answer yet.
DOUBT = 1e-6


@METHODS.register("optimized_mask")
def optimized_mask(
    live: Live,
    prompt: Prompt,
    answer: Answer,
    targets: tuple[Target, ...],
    *,
    steps: int = 30,
    cells: int = 14,
    area: float = 1.0,
    smooth: float = 1.5,
    fill: str = "blur",
) -> list[Heatmaps]:
    """The smallest smooth places that suffice for the answer and that it cannot do without.

    Formula: two masks are searched for by gradient steps. One begins with the whole picture and
    keeps what suffices: -log p(answer | kept) + area * mean(mask) + smooth * mean squared step between
    cells. The other begins with nothing and takes away what is needed: -log(1 - p(answer | rest)) and
    the same prices. p is the probability per token, or for a contrast that of the target against
    its rival. Each step is scaled to its largest entry. A cell's value is the mean of both masks
    over all steps: what is taken early and given up late is near one.
    Unit: share of the search. Cost: 2 * steps forward and 2 * steps backward passes for each target, 60
    and 60 at the defaults; twice that for a contrast.
    Targets: those asked for, and contrasts; not token by token.
    Source: Fong & Vedaldi, ICCV 2017; Fong, Patrick & Vedaldi, "Extremal Perturbations", ICCV 2019;
    Khorram, Lawson & Li, "iGOS++", CHIL 2021.
    Known failure: KNOWN

    Options: `cells` along the shorter side of the map; `fill` stands in the places taken away:
    "blur" (three widths in turn), "mean" (local) or "black".
    """
    positive("optimized_mask", {"steps": steps, "cells": cells})
    pixels, seen = picture(live)
    fills = _fills(live, fill)
    side = min(seen.rows, seen.cols) / cells
    grid = coarser(seen, round(seen.rows / side), round(seen.cols / side), live.study.shape)
    begin = torch.tensor([START, -START], device=pixels.device)[:, None, None].expand(
        -1, grid.rows, grid.cols
    )
    logits = torch.stack([begin] * len(targets))
    pace = torch.zeros_like(logits)

    def step(part: slice) -> Tensor:
        """One step of every mask: (1, target, kept and taken, row, col)."""
        other = fills[part.start % len(fills)]
        for at, target in enumerate(targets):
            for kept in (True, False):
                one = at, 0 if kept else 1
                slope = _slope(live, target, logits[one], (pixels, other), kept, (area, smooth))
                pace[one] = MOMENTUM * pace[one] + slope / slope.abs().max().clamp(min=DOUBT)
                logits[one] -= PACE * pace[one]
        return logits.sigmoid()[None]

    found = live.in_batches(steps, step, label="optimized_mask", most=1)
    values = found.mean(dim=(0, 2)).flatten(1).cpu().numpy()
    values[:, ~grid.valid.reshape(-1)] = np.nan
    params = {"steps_done": len(found)}
    return laid_out(values, [grid], targets, unit="share of the search", reduce=("mean",) * 3, params=params)


def _fills(live: Live, kind: str) -> list[Tensor]:
    if kind != "blur":
        return [baseline(live, kind)]
    return [live.picture(blurred(live.study.pixels, share)) for share in BLURS]


def _slope(
    live: Live,
    target: Target,
    logits: Tensor,
    pictures: tuple[Tensor, Tensor],
    kept: bool,
    prices: tuple[float, float],
) -> Tensor:
    """How the loss of one mask changes with its logits (row, col)."""
    pixels, other = pictures
    with torch.enable_grad():
        leaf = torch.zeros_like(logits, requires_grad=True)
        mask = (leaf + logits).sigmoid()[None, None]
        share = interpolate(mask, size=pixels.shape[2:], mode="bilinear", align_corners=False)
        pair = (other, pixels) if kept else (pixels, other)
        score = live.scores([target], live.site("pixels"), mixed(*pair, share))[0, 0]
        steps = mask.diff(dim=2).square().mean() + mask.diff(dim=3).square().mean()
        loss = _loss(score, target, kept) + prices[0] * mask.mean() + prices[1] * steps
    return torch.autograd.grad(loss, leaf)[0]


def _loss(score: Tensor, target: Target, kept: bool) -> Tensor:
    """-log p per token when the mask shall suffice, -log(1 - p) when it shall be missed."""
    if target.rival:
        odds = score / max(len(target.tokens), len(target.rival.token_ids))
        return softplus(-odds if kept else odds)
    each = score / len(target.tokens)
    return -each if kept else -torch.log1p(-(1 - DOUBT) * each.exp())
