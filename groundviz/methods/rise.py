"""RISE: how much better the answer does when a place is among those shown at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from groundviz.errors import UnsupportedMethod
from groundviz.methods.method import METHODS, each_token_and, laid_out, positive
from groundviz.runtime import Live
from groundviz.runtime.baselines import baseline
from groundviz.runtime.regions import Canvas, canvases, coarser, mixed
from groundviz.types import Answer, Heatmaps, Prompt, Target

# Cells of the map to a cell of the masks, along each axis: what a mask's smooth edges can tell apart.
FINER = 4
CHUNK = 64


@METHODS.register("rise")
def rise(
    live: Live,
    prompt: Prompt,
    answer: Answer,
    targets: tuple[Target, ...],
    *,
    masks: int = 480,
    cells: int = 7,
    keep: float = 0.5,
    fill: str = "blur",
) -> list[Heatmaps]:
    """How much better the answer does when a place is shown, other places coming and going at random.

    Formula: sum over masks of (y(x seen through the mask) - mean y) * mask / sum of masks, at each
    cell; y the log-probability of a token or a contrast, a mask `cells` by `cells` coin throws,
    smoothly enlarged and randomly shifted. It is the paper's mean of y over the masks that show a
    cell, weighted by how much they show, less the mean over all masks: a constant in y adds nothing.
    Unit: nats. Cost: `masks` forwards, 480 at the defaults, in batches; as many again for each
    distinct rival. No backward.
    Targets: every token, and contrasts, in the same passes.
    Source: Petsiuk et al., "RISE: Randomized Input Sampling for Explanation", BMVC 2018.
    Known failure: a few hundred masks leave noise about as high as the trace of a small finding, and no
    map is sharper than a cell of the masks. On the demo model's nodules the highest cell is on the
    nodule in .70 of 23 fresh phantoms.

    Options: `keep` is the share of cells that a mask shows; `fill`, what stands in the other ones,
    is "blur", "mean" (local) or "black" (as in the paper).
    """
    positive("rise", {"masks": masks, "cells": cells, "keep": keep})
    if keep >= 1:
        raise UnsupportedMethod(
            f"rise cannot run with keep={keep}: masks would hide nothing. Give less than 1."
        )
    wanted, other = each_token_and(answer, targets), baseline(live, fill)
    maps: list[Heatmaps] = []
    for canvas in canvases(live):
        drawn = _Masks.draw(live.stream(), masks, cells, keep)
        found = _seen(live, canvas, drawn, wanted, other).double().cpu()
        grid = coarser(canvas.grid, FINER * cells, FINER * cells, live.studies[canvas.grid.image].shape)
        values = drawn.explained(found - found.mean(dim=0), grid.rows, grid.cols).numpy()
        values[:, ~grid.valid.reshape(-1)] = np.nan
        done = {"masks_done": len(found)}
        maps += laid_out(values, [grid], wanted, unit="nats", signed=True, params=done)
    return maps


def _seen(live: Live, canvas: Canvas, drawn: _Masks, wanted: tuple[Target, ...], other: Tensor) -> Tensor:
    """The scalars with the image seen through each mask, (mask, target)."""
    site = live.site("pixels")
    pixels = live.read(site)

    def scores(part: slice) -> Tensor:
        hidden = 1 - drawn.at(part, *canvas.size).to(pixels.device)
        return live.scores(wanted, site, mixed(pixels, other, canvas.onto(hidden)))

    with torch.no_grad():
        return live.in_batches(len(drawn.throws), scores, label="rise")


@dataclass(frozen=True, slots=True, eq=False)
class _Masks:
    """Random masks, as coin throws on a grid that is wider than the picture by one cell.

    Attributes:
        throws: 0 or 1, (mask, row, col), at the corners of the cells.
        shifts: (mask, 2), how far the picture is shifted down and right on the grid, in cells.
    """

    throws: Tensor
    shifts: Tensor

    @classmethod
    def draw(cls, stream: torch.Generator, count: int, cells: int, keep: float) -> _Masks:
        throws = torch.rand(count, cells + 2, cells + 2, generator=stream) < keep
        return cls(throws.float(), torch.rand(count, 2, generator=stream))

    def at(self, part: slice, rows: int, cols: int) -> Tensor:
        """Some masks at the centres of `rows` by `cols` equal parts of the picture: (mask, row, col)."""
        along_rows = self._weights(self.shifts[part, 0], rows)
        along_cols = self._weights(self.shifts[part, 1], cols)
        return torch.einsum("mpr,mrc,mqc->mpq", along_rows, self.throws[part], along_cols)

    def explained(self, scores: Tensor, rows: int, cols: int) -> Tensor:
        """The mean of scores (mask, target) over the first masks, weighted by them: (target, cell)."""
        total = torch.zeros(scores.shape[1], rows * cols, dtype=scores.dtype)
        weight = torch.zeros(rows * cols, dtype=scores.dtype)
        for start in range(0, len(scores), CHUNK):
            part = slice(start, min(start + CHUNK, len(scores)))
            shown = self.at(part, rows, cols).flatten(1).to(scores.dtype)
            total, weight = total + scores[part].T @ shown, weight + shown.sum(dim=0)
        return total / weight

    def _weights(self, shift: Tensor, count: int) -> Tensor:
        """(mask, part, corner) weights of linear interpolation."""
        corners = self.throws.shape[1]
        at = (torch.arange(count) + 0.5) / count * (corners - 2) + shift[:, None]
        return (1 - (at[..., None] - torch.arange(corners)).abs()).clamp(min=0)
