"""Where the cells of an earlier stage go at a later stage, read off gradients.

One backward pass puts the same weight on every cell of the later stage. Three more passes weight each cell
by the number of its grid, by its row and by its column. At every place of the earlier stage, the ratio of a
weighted gradient to the plain one is that number of the cell the place feeds. Four passes therefore locate
all places at once. Norms, activations and the size of the weights cancel, because they scale both gradients
alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from groundviz.record.geometry import apply, held_cells
from groundviz.record.types import Doubles, Grid, Ints
from groundviz.runtime.inputs.encoded import Cells, Encoded

# A gradient below this share of the largest one counts as zero.
FAINT = 1e-5
# A place feeds a single cell if its grid number is a whole number to within this much.
MIXED = 0.25
# A cell that is fed by fewer places than this share of the usual number is cut short.
WHOLE = 0.75
# Model pixels along the side of a patch, where nothing is known of patches: that of most towers.
USUAL_PATCH = 14


@dataclass(frozen=True, slots=True)
class CellTrace:
    """What the gradients show about the cells of two neighbouring stages.

    Attributes:
        error: The largest distance between a cell and the mean of the places that feed it, in patches;
            infinite where no cell is fed.
        unfed: How many cells no place feeds.
        astray: How many places feed a cell of another image, or several cells.
    """

    error: float
    unfed: int
    astray: int


def patch_sizes(encoded: Encoded) -> dict[str, Doubles]:
    """Rows and columns of a patch in source pixels, by the name that `view_of` gives its grid.

    Where a model has no cells in a vision tower, its image tokens count as patches; where these have no
    places either, squares of `USUAL_PATCH` of the model's pixels.
    """
    sizes = {}
    for grid in encoded.cells["pixels"].grids:
        sizes[view_of(grid)] = np.abs(np.diag(grid.to_source[:, :2])) * USUAL_PATCH
    finest = encoded.prompt.grids
    if "vision" in encoded.cells:
        finest = encoded.cells["vision"].grids
    for grid in finest:
        sizes[view_of(grid)] = np.abs(np.diag(grid.to_source[:, :2]))
    return sizes


def follow_cells(fine: Cells, coarse: Cells, feeds: Doubles, patches: Mapping[str, Doubles]) -> CellTrace:
    """Compare where gradients say that places go with where the grids say that cells are.

    Args:
        fine: The cells of the earlier stage.
        coarse: The cells of the later stage.
        feeds: For each cell of `fine` the grid, row and column of the cell it feeds, float (cell, 3); NaN
            where it feeds none. `cells_fed` returns it.
        patches: From `patch_sizes`.
    """
    feeding = np.isfinite(feeds).all(axis=1)
    feeds = feeds[feeding]
    centres = centres_of(fine.grids)[feeding]
    views = _views_of(fine.grids)[feeding]
    counts, offsets, whole = [], [], []
    for number, grid in enumerate(coarse.grids):
        row_col = np.rint(feeds[:, 1:]).astype(int)
        in_grid = np.abs(feeds[:, 0] - number) < MIXED
        in_grid &= views == view_of(grid)
        in_grid &= (row_col >= 0).all(axis=1) & (row_col < (grid.rows, grid.cols)).all(axis=1)
        claimed = apply(grid.to_source, feeds[in_grid, 1:] + 0.5)
        offset = (centres[in_grid] - claimed) / patches[view_of(grid)]
        # Sum over all places that feed the same cell: a cell is the mean of its places.
        cell = row_col[in_grid, 0] * grid.cols + row_col[in_grid, 1]
        size = grid.rows * grid.cols
        count = np.bincount(cell, minlength=size)
        down = np.bincount(cell, offset[:, 0], size)
        across = np.bincount(cell, offset[:, 1], size)
        held = held_cells(grid)
        counts.append(count[held])
        # A cell of which padding or a neighbour takes a part is not the mean of its places.
        whole.append(count[held] > WHOLE * np.median(count[held]))
        offsets.append(np.stack([down, across])[:, held])
    count = np.concatenate(counts)
    fed = count > 0
    compared = np.concatenate(whole) & fed
    error = np.inf
    if compared.any():
        largest = np.abs(np.concatenate(offsets, axis=1))[:, compared].max(axis=0)
        error = float((largest / count[compared]).max())
    return CellTrace(error=error, unfed=int((~fed).sum()), astray=len(feeds) - int(count.sum()))


def cell_gradients(early: Sequence[Tensor], late: Tensor, cells: Cells) -> list[Tensor]:
    """Gradients of a later stage with respect to an earlier one, with four weightings of the cells.

    Cost: four backward passes from `late` to `early`.

    Args:
        early: Any tensors that `late` was computed from.
        late: (place, channel); `cells.index` says at which places the cells are.
        cells: The cells in `late`.

    Returns:
        For each of `early` float (4, ...): the plain gradient, and the gradients in which each cell is
        weighted by the number of its grid, by its row and by its column; zeros where nothing depends on it.
    """
    held = late[torch.from_numpy(cells.index).to(late.device)]
    # Random signs of the channels: a norm removes what is the same in all channels. One and minus one are
    # exact in every dtype.
    generator = torch.Generator().manual_seed(0)
    signs = torch.randint(2, held.shape[1:], generator=generator).to(held) * 2 - 1
    coordinates = torch.from_numpy(_coordinates(cells.grids))
    # Counted from the middle: smaller factors lose less precision in short dtypes.
    middles = coordinates.max(dim=0).values // 2

    def gradients(factor: Tensor) -> list[Tensor]:
        weighted = factor.to(held)[:, None] * signs
        found = torch.autograd.grad(
            held, list(early), weighted, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        return [one.float() for one in found]

    plain = gradients(torch.ones(len(coordinates)))
    whole = [[one] for one in plain]
    for factor, middle in zip(coordinates.T, middles.tolist(), strict=True):
        for kept, one, own in zip(whole, gradients(factor - middle), plain, strict=True):
            kept.append(one + middle * own)
    return [torch.stack(kept) for kept in whole]


def cells_fed(gradients: Tensor) -> Doubles:
    """The grid, row and column of the cell that each place feeds, float (place, 3); NaN for none.

    Args:
        gradients: From `cell_gradients`, (4, place, channel).
    """
    plain, weighted = gradients[0], gradients[1:]
    strength = plain.square().sum(dim=-1)
    # The ratio of two parallel vectors. It is clamped so that zero gives no division error.
    ratio = (weighted * plain).sum(dim=-1) / strength.clamp(min=torch.finfo(strength.dtype).tiny)
    faint = strength <= strength.max() * FAINT**2
    return np.asarray(ratio.masked_fill(faint, torch.nan).T.cpu(), dtype=np.float64)


def centres_of(grids: Sequence[Grid]) -> Doubles:
    """The source (row, col) of the centre of each cell, float (cell, 2)."""
    centres = []
    for grid in grids:
        row_col = np.stack(np.divmod(np.arange(grid.rows * grid.cols), grid.cols), axis=1)
        centres.append(apply(grid.to_source, row_col + 0.5)[held_cells(grid)])
    return np.concatenate(centres)


def view_of(grid: Grid) -> str:
    """Names an image, and the view of it where the model is shown several views."""
    return f"{grid.image} {grid.label}"


def _views_of(grids: Sequence[Grid]) -> Any:
    """The view that each cell is in, (cell,)."""
    views = [view_of(grid) for grid in grids]
    counts = [held_cells(grid).sum() for grid in grids]
    return np.repeat(views, counts)


def _coordinates(grids: Sequence[Grid]) -> Ints:
    """The grid, row and column number of each cell, int (cell, 3)."""
    coordinates = []
    for number, grid in enumerate(grids):
        row, col = np.divmod(np.flatnonzero(held_cells(grid)), grid.cols)
        coordinates.append(np.stack([np.full(len(row), number), row, col], axis=1))
    return np.concatenate(coordinates)
