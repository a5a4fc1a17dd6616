"""Which cell of a later stage each place of an earlier one goes into, by gradients.

Each cell is given its own row, column and image as a factor on its gradient. Divided by the gradient
without factors, what arrives at the earlier stage says for every place which cell it goes into. All
places are told at once, and norms, activations and the numbers in the weights do not matter: they
stand in both gradients alike.
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

# Of the largest; what is below is taken for nothing.
FAINT = 1e-5
# How far the number of a grid may be off before a place is said to go into several.
MIXED = 0.25


@dataclass(frozen=True, slots=True)
class Passed:
    """What became of the cells on the way from one stage to the next.

    Attributes:
        error: How far any cell lies from what goes into it, in patches; infinite where nothing does.
        unfed: How many cells nothing goes into.
        astray: How many places go into a cell of another image, or into several.
    """

    error: float
    unfed: int
    astray: int


def patch_sizes(encoded: Encoded) -> dict[str, Doubles]:
    """Rows and columns of a patch of each image, in source pixels."""
    return {image_of(grid): np.abs(np.diag(grid.to_source[:, :2])) for grid in encoded.cells["vision"].grids}


def follow_cells(fine: Cells, coarse: Cells, into: Doubles, patches: Mapping[str, Doubles]) -> Passed:
    """Compare where places go with where two stages' grids say that their cells lie.

    Args:
        fine: The cells of the earlier stage.
        coarse: Of the later one.
        into: For each cell of `fine` the grid, row and column that `read_paths` found it goes into,
            (cell, 3); NaN where it goes nowhere.
        patches: As `patch_sizes` gives them.
    """
    goes = np.isfinite(into).all(axis=1)
    into, source, image = into[goes], places_of(fine.grids)[goes], _images(fine.grids)[goes]
    cell = np.rint(into).astype(int)
    sums = []
    for number, grid in enumerate(coarse.grids):
        mine = (cell[:, 0] == number) & (np.abs(into[:, 0] - number) < MIXED) & (image == image_of(grid))
        mine &= (cell[:, 1:] >= 0).all(axis=1) & (cell[:, 1:] < (grid.rows, grid.cols)).all(axis=1)
        off = (source[mine] - apply(grid.to_source, into[mine, 1:] + 0.5)) / patches[image_of(grid)]
        places = cell[mine, 1] * grid.cols + cell[mine, 2]
        weights = (np.ones(len(off)), *off.T)
        both = np.stack([np.bincount(places, weight, grid.rows * grid.cols) for weight in weights])
        sums.append(both[:, held_cells(grid)])
    count, *off = np.concatenate(sums, axis=1)
    fed = count > 0
    error = np.abs(off)[:, fed].max(axis=0) / count[fed]
    return Passed(
        error=float(error.max(initial=0.0)) if fed.any() else np.inf,
        unfed=int((~fed).sum()),
        astray=len(into) - int(count.sum()),
    )


def read_paths(early: Tensor, late: Tensor, cells: Cells) -> Tensor:
    """Which cell each number of an earlier tensor goes into.

    Args:
        early: Any tensor that `late` was computed from.
        late: (place, channel), the places by `cells.index`.
        cells: What stands in `late`.

    Returns:
        Four tensors shaped like `early`: the gradient, and the gradients with the grid's, the row's and the
        column's number of each cell as a factor.
    """
    held = late[torch.from_numpy(cells.index).to(late.device)]
    # Each exact in any dtype, and not what a norm takes away from all channels.
    signs = torch.randint(2, held.shape[1:], generator=torch.Generator().manual_seed(0)).to(held) * 2 - 1
    names = torch.from_numpy(_names(cells.grids))
    # Counted from the middle: small factors lose less where numbers are short.
    middle = names.max(dim=0).values // 2

    def gradient(factor: Tensor) -> Tensor:
        weighted = factor.to(held)[:, None] * signs
        return torch.autograd.grad(held, early, weighted, retain_graph=True)[0].float()

    plain = gradient(torch.ones(len(names)))
    ways = zip((names - middle).T, middle.tolist(), strict=True)
    return torch.stack([plain, *(gradient(factor) + start * plain for factor, start in ways)])


def decoded(gradients: Tensor) -> Doubles:
    """The grid, row and column of the cell that each place goes into, (place, 3), NaN for nowhere.

    Args:
        gradients: As from `read_paths`, (4, place, channel).
    """
    plain = gradients[0]
    strength = plain.square().sum(dim=-1)
    read = (gradients[1:] * plain).sum(dim=-1) / strength.clamp(min=torch.finfo(strength.dtype).tiny)
    faint = strength <= strength.max() * FAINT**2
    return np.asarray(read.masked_fill(faint, torch.nan).T.cpu(), dtype=np.float64)


def _names(grids: Sequence[Grid]) -> Ints:
    """Grid, row and column of each cell, (cell, 3)."""
    held = [np.flatnonzero(held_cells(grid)) for grid in grids]
    named = [
        np.stack([np.full(len(own), number), own // grid.cols, own % grid.cols], axis=1)
        for number, (grid, own) in enumerate(zip(grids, held, strict=True))
    ]
    return np.concatenate(named)


def places_of(grids: Sequence[Grid]) -> Doubles:
    """The source (row, col) of the centre of each cell, (cell, 2)."""
    return np.concatenate([_centres(grid)[held_cells(grid)] for grid in grids])


def _images(grids: Sequence[Grid]) -> Any:
    """Which image each cell is on, (cell,)."""
    return np.repeat([image_of(grid) for grid in grids], [held_cells(grid).sum() for grid in grids])


def _centres(grid: Grid) -> Doubles:
    cells = np.stack(np.divmod(np.arange(grid.rows * grid.cols), grid.cols), axis=1)
    return apply(grid.to_source, cells + 0.5)


def image_of(grid: Grid) -> str:
    """Which image, and which view of it, where the model is shown several."""
    return f"{grid.image} {grid.label}"
