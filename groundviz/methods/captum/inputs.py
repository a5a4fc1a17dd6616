"""What captum is given of a borrowed model: the image at a site, in cells, pieces or areas, and its score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from groundviz.methods.toolkit.baselines import baseline
from groundviz.methods.toolkit.regions import canvases
from groundviz.record.geometry import held_cells
from groundviz.record.types import Ints, Target
from groundviz.runtime import Live
from groundviz.runtime.inputs.sites import Site


@dataclass(slots=True, eq=False)
class Scorer:
    """The answer's scalar for images at a site, some of them at a time, so that memory stays bounded.

    Attributes:
        live: A borrowed model that has answered.
        target: What is scored.
        site: Where the images are put in.
        label: What the work is called while it goes on.
        at_once: Images in one pass.
        total: How many there will be, as far as can be told.
        done: How many there were.
    """

    live: Live
    target: Target
    site: Site
    label: str
    at_once: int
    total: int = 0
    done: int = field(default=0, init=False)

    def __call__(self, values: Tensor) -> Tensor:
        """Score images (batch, cell, channel): float32 (batch,)."""
        parts = values.split(self.at_once)
        differentiated = torch.is_grad_enabled() and values.requires_grad
        if len(parts) == 1 or not differentiated:
            return torch.cat([self._pass(part) for part in parts])
        # The passes are made once more, one after the other, when their gradient is asked for: what a
        # gradient needs of all of them at once would fill the memory.
        return torch.cat([checkpoint(self._pass, part, use_reentrant=False) for part in parts])

    def _pass(self, values: Tensor) -> Tensor:
        self.live.progress.at(self.label, min(self.done, self.total), self.total)
        self.done += len(values)
        own = self.live.read(self.site).dtype
        return self.live.scores([self.target], self.site, values.to(own))[:, 0]


def without(live: Live, site: Site, kind: str) -> Tensor:
    """What stands at a site when there is nothing to be seen: float32 (1, cell, channel)."""
    if kind == "zero":
        return torch.zeros_like(live.read(site)).float()
    return live.read_each(site, pixels=baseline(live, kind))[0].detach().float().contiguous()


def pieces(live: Live, site: Site, count: int) -> Tensor:
    """Which piece each cell of a site belongs to, int (cell,): about `count` rectangles of each image.

    At the pixels a piece is a place of the source image, in all tiles that show it. Cells that show
    nothing of an image are a piece of their own, the last one.
    """
    numbers = _on_pixels(live, count) if site.stage == "pixels" else _on_grids(live, site, count)
    _, consecutive = np.unique(np.where(numbers < 0, numbers.max() + 1, numbers), return_inverse=True)
    return torch.from_numpy(consecutive.reshape(-1).astype(np.int64))


def areas(live: Live, site: Site, values: Tensor) -> tuple[Tensor, ...]:
    """Cells (batch, cell, channel) as an area for each grid, (batch, row, col, channel); 0 without a cell."""
    drawn, start = [], 0
    for grid in live.grids(site):
        held = torch.from_numpy(np.flatnonzero(held_cells(grid))).to(values.device)
        area = values.new_zeros(len(values), grid.rows * grid.cols, values.shape[-1])
        own = values[:, start : start + len(held)]
        drawn.append(area.index_copy(1, held, own).unflatten(1, (grid.rows, grid.cols)))
        start += len(held)
    return tuple(drawn)


def from_areas(live: Live, site: Site, drawn: tuple[Tensor, ...]) -> Tensor:
    """The cells (batch, cell, channel) of areas."""
    found = []
    for grid, area in zip(live.grids(site), drawn, strict=True):
        held = torch.from_numpy(np.flatnonzero(held_cells(grid))).to(area.device)
        found.append(area.flatten(1, 2)[:, held])
    return torch.cat(found, dim=1)


def on_areas(live: Live, site: Site, score: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """A scorer of cells as a scorer of areas."""
    return lambda *drawn: score(from_areas(live, site, drawn))


def _on_pixels(live: Live, count: int) -> Ints:
    found = np.full(live.read(live.site("pixels")).shape[1], -1, dtype=np.int64)
    for canvas in canvases(live):
        shown = canvas.shown.cpu().numpy()
        seen = shown >= 0
        blocks = _blocks(*canvas.size, count)
        # Each image's pieces are numbered behind those of the images before it.
        found[seen] = blocks[shown[seen]] + found.max() + 1
    return found


def _on_grids(live: Live, site: Site, count: int) -> Ints:
    found: list[Ints] = []
    start = 0
    for grid in live.grids(site):
        blocks = _blocks(grid.rows, grid.cols, count)
        found.append(blocks[held_cells(grid)] + start)
        start += blocks.max() + 1
    return np.concatenate(found)


def _blocks(rows: int, cols: int, count: int) -> Ints:
    """The number of the rectangle that each cell of an area lies in, int (cell,): about `count` of them."""
    side = (rows * cols / count) ** 0.5
    down, across = min(rows, max(1, round(rows / side))), min(cols, max(1, round(cols / side)))
    of_row, of_col = np.arange(rows) * down // rows, np.arange(cols) * across // cols
    return np.asarray((of_row[:, None] * across + of_col).reshape(-1), dtype=np.int64)
