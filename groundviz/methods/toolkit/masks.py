"""Soft masks over the cells of an image: spread over what they hide, priced, and moved at every scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate, softplus

from groundviz.methods.toolkit.regions import Canvas, canvases, coarser
from groundviz.record.geometry import held_cells
from groundviz.record.types import Bools, Grid, Target
from groundviz.runtime.inputs.sites import Site
from groundviz.runtime.live import Live

# Cells along the side of a block that a mask may move as one.
SCALES = (1, 2, 4)
# Keeps the pull on a mask that has not changed a certain answer yet.
DOUBT = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class CellMasks:
    """Masks with one entry for each cell of some grids, float (cell,).

    Attributes:
        grids: Of cells behind a layer, or one over each of the `canvases`.
        canvases: What the masks are spread over, where that is the pixels.
    """

    grids: Sequence[Grid]
    canvases: Sequence[Canvas] = ()

    @property
    def count(self) -> int:
        """How many cells there are, with a token or without."""
        return sum(grid.rows * grid.cols for grid in self.grids)

    @property
    def held(self) -> Bools:
        """Which cells stand for something, bool (cell,)."""
        return np.concatenate([held_cells(grid) for grid in self.grids])

    def spread(self, mask: Tensor) -> Tensor:
        """A mask, float (cell,), as it falls on the image: (1, cell, 1) of the site's held cells.

        At the pixels it is smooth between the mask's cells.
        """
        if not self.canvases:
            return mask[torch.from_numpy(self.held).to(mask.device)][None, :, None]
        drawn = []
        for plane, canvas in zip(self._planes(mask), self.canvases, strict=True):
            smooth = interpolate(plane[None], canvas.size, mode="bilinear", align_corners=False)
            drawn.append(canvas.onto(smooth[:, 0]))
        # No pixel shows two images, so that adding up keeps each image's own mask.
        return torch.stack(drawn).sum(dim=0)

    def roughness(self, mask: Tensor) -> Tensor:
        """The mean squared step between neighbours, down plus across."""
        steps = []
        for plane in self._planes(mask):
            steps += [plane.diff(dim=1).flatten(), plane.diff(dim=2).flatten()]
        # Twice the mean over both directions is the mean down plus the mean across.
        return 2 * torch.cat(steps).square().mean()

    def at_every_scale(self, gradient: Tensor) -> Tensor:
        """A gradient plus its means over blocks of 2 by 2 and 4 by 4 cells: cells and blocks move alike.

        >>> from groundviz.record.geometry import scale_shift
        >>> grid = Grid(rows=1, cols=4, positions=np.arange(4), to_source=scale_shift((1.0, 1.0)),
        ...             valid=np.ones((1, 4), bool), stage="language")
        >>> CellMasks([grid]).at_every_scale(torch.tensor([4.0, 0.0, 0.0, 0.0])).tolist()
        [7.0, 2.5, 1.5, 1.0]
        """
        return torch.cat([self._blocks(plane).flatten() for plane in self._planes(gradient)])

    def _blocks(self, plane: Tensor) -> Tensor:
        rows, cols = plane.shape[1:]
        same = []
        for scale in SCALES:
            # A grid that is smaller than a block is one block.
            size = max(1, round(rows / scale)), max(1, round(cols / scale))
            blocks = adaptive_avg_pool2d(plane, size)[None]
            same.append(interpolate(blocks, (rows, cols), mode="bilinear", align_corners=False))
        return torch.stack(same).sum(dim=0)

    def _planes(self, cells: Tensor) -> list[Tensor]:
        sizes = [grid.rows * grid.cols for grid in self.grids]
        parts = zip(cells.split(sizes), self.grids, strict=True)
        return [part.view(1, grid.rows, grid.cols) for part, grid in parts]


def masks_at(live: Live, site: Site) -> CellMasks:
    """Masks over the cells of a layer; at the pixels, over as many of each image as it has tokens there."""
    if site.stage != "pixels":
        return CellMasks(live.grids(site))
    drawn, behind = canvases(live), live.grids(live.site("projector"))
    grids = []
    for canvas in drawn:
        image = canvas.grid.image
        like = next(grid for grid in behind if grid.image == image)
        grids.append(coarser(canvas.grid, like.rows, like.cols, live.source_images[image].shape))
    return CellMasks(grids, drawn)


def loss_of(score: Tensor, target: Target, *, kept: bool) -> Tensor:
    """-log p per token when the mask shall suffice, -log(1 - p) when it shall be missed."""
    if target.foil:
        odds = score / max(len(target.tokens), len(target.foil.token_ids))
        # -log of a sigmoid: of the odds for the target, or of those for its foil.
        return softplus((-1 if kept else 1) * odds)
    each = score / len(target.tokens)
    return -each if kept else -torch.log1p(-(1 - DOUBT) * each.exp())
