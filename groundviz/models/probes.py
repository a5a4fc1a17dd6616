"""Pictures that tell a processor's geometry, and gradients that tell a model's.

::

    source ── ramps ──> pixels ── gradients ──> tower ──> projector ──> what the answer looks at

A ramp is a picture that is brighter from row to row, or from column to column: what a pixel of the
model's shows then says which row and column it is from. Inside the model, each cell of a stage is
given its own row, column and picture as a factor on its gradient; divided by the gradient without
factors, what arrives one stage earlier says for every place which cell it goes into. Both tell all
places at once, and neither minds norms, activations or the numbers in the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from groundviz.geometry import apply, held_cells, invert
from groundviz.models.vlm import VLM
from groundviz.runtime.encoded import PIXELS, Cells, Encoded
from groundviz.types import Bools, Doubles, Floats, Grid, Ints, Study

QUESTION = "What does the image show?"
# Of the largest; what is below is taken for nothing.
FAINT = 1e-5
# A processor shows the outermost pixels of a picture by fewer neighbours than all others.
RIM = 1.5


@dataclass(frozen=True, slots=True)
class Shown:
    """What became of a picture on the way to the pixels.

    Attributes:
        error: How far any pixel lies from where the adapter says, in patches; infinite where the
            adapter knows of no pixel.
        strays: The share of the numbers which show the picture that no pixel of the adapter holds.
    """

    error: float
    strays: float


@dataclass(frozen=True, slots=True)
class Passed:
    """What became of the cells on the way from one stage to the next.

    Attributes:
        error: How far any cell lies from those that go into it, in cells.
        unfed: How many cells nothing goes into.
        astray: How many places go into a cell of another picture, or into several.
    """

    error: float
    unfed: int
    astray: int


def study_of(pixels: Any) -> Study:
    """A study of float pixels in [0, 1]."""
    pixels = np.asarray(pixels, dtype=np.float32)
    return Study(pixels=pixels, source="array", raw_range=(0.0, 1.0), sha256="0" * 64)


def noise(shape: tuple[int, int]) -> Study:
    """A picture of colour noise, the same for each shape."""
    return study_of(np.random.default_rng(0).random((*shape, 3)))


def follow_source(vlm: VLM, shape: tuple[int, int]) -> Shown:
    """How far the model's pixels are from where the adapter says they are from; four encodings."""
    dark, light, *ramps = (
        vlm.encode((study_of(one),), QUESTION)
        for one in (np.zeros((*shape, 3)), np.ones((*shape, 3)), _ramp(shape, 0), _ramp(shape, 1))
    )
    cells = dark.cells["pixels"]
    bright = _values(light) - _values(dark)
    awake = np.abs(bright) > np.abs(bright).max() / 2
    strays = 1 - np.isin(np.flatnonzero(awake), cells.index).mean()
    bright = np.where(awake, bright, 1.0)
    at = np.stack([(_values(one) - _values(dark)) / bright for one in ramps], axis=-1)[cells.index].mean(2)
    seen = awake[cells.index].all(axis=2)
    patches = {_which(grid): np.abs(np.diag(grid.to_source[:, :2])) for grid in dark.cells["vision"].grids}
    grids = np.repeat(np.arange(len(cells.grids)), [int(held_cells(grid).sum()) for grid in cells.grids])
    error = 0.0
    for number, grid in enumerate(cells.grids):
        for copy_at, copy_seen in zip(at[:, grids == number], seen[:, grids == number], strict=True):
            off = _displaced(grid, copy_at * shape, copy_seen, shape)
            error = max(error, float((off / patches[_which(grid)]).max(initial=0.0)))
    return Shown(error, float(strays))


def _displaced(grid: Grid, at: Doubles, seen: Bools, shape: tuple[int, int]) -> Doubles:
    """How far each pixel is from where the grid says, (pixel, 2) in source pixels.

    Args:
        grid: The pixels.
        at: The source row and column that each shows, (pixel, 2).
        seen: Which of them show the picture.
        shape: Of the source picture.
    """
    claimed = centres(grid)[held_cells(grid)]
    rim = RIM * np.maximum(1.0, np.abs(np.diag(grid.to_source[:, :2])))
    depth = np.minimum(claimed, np.array(shape) - claimed) - rim
    inside = (depth > 0).all(axis=1)
    outside = (depth < -2 * rim).any(axis=1)
    off = np.where(seen[:, None], np.abs(claimed - at), depth.min(axis=1, keepdims=True))
    return np.asarray(off[(inside | (outside & seen))])


def _ramp(shape: tuple[int, int], axis: int) -> Doubles:
    """Brighter along an axis; the colours differ by a third of a level of brightness, to be rounded apart."""
    steps = (np.arange(shape[axis]) + 0.5) / shape[axis]
    ramp = np.broadcast_to(steps[:, None] if axis == 0 else steps, shape)
    return np.asarray(np.clip(ramp[..., None] + np.array([-1.0, 0.0, 1.0]) / 3 / 255, 0.0, 1.0))


def _values(encoded: Encoded) -> Floats:
    return np.asarray(encoded.inputs[PIXELS].float().cpu(), dtype=np.float32).ravel()


def centres(grid: Grid) -> Doubles:
    """The source (row, col) of the centre of each cell, (cell, 2)."""
    return apply(grid.to_source, np.stack(np.divmod(np.arange(grid.rows * grid.cols), grid.cols), axis=1) + 0.5)


def follow_cells(fine: Cells, coarse: Cells, into: Doubles) -> Passed:
    """Compare where places go with where two stages' grids say that their cells lie.

    Args:
        fine: The cells of the earlier stage.
        coarse: Of the later one.
        into: For each cell of `fine` the grid, row and column that `read_paths` found it goes into,
            (cell, 3); NaN where it goes nowhere.
    """
    source, pictures = _held(fine.grids)
    goes = np.isfinite(into).all(axis=1)
    whole = np.abs(into[:, 0] - np.rint(into[:, 0])) < 0.25
    found = np.where(goes & whole, np.rint(into[:, 0]), -1).astype(int)
    sums: dict[tuple[int, int, int], Doubles] = {}
    astray = int((goes & ~whole).sum())
    for number, grid in enumerate(coarse.grids):
        mine = found == number
        astray += int((pictures[mine] != np.array(_which(grid), dtype=object)).any(axis=1).sum())
        off = apply(invert(grid.to_source), source[mine]) - into[mine, 1:] - 0.5
        for (row, col), one in zip(np.rint(into[mine, 1:]).astype(int).tolist(), off, strict=True):
            sums.setdefault((number, row, col), np.zeros(3))[:] += (*one, 1.0)
    unfed = sum(cell not in sums for cell in _names(coarse.grids))
    error = max((float(np.abs(one[:2] / one[2]).max()) for one in sums.values()), default=np.inf)
    return Passed(error, unfed, astray)


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
    signs = (torch.randint(2, held.shape[1:], generator=torch.Generator().manual_seed(0)) * 2.0 - 1.0).to(held)
    names = torch.tensor(_names(cells.grids))
    # Counted from the middle: small factors lose less where numbers are short.
    middle = names.max(dim=0).values // 2

    def gradient(factor: Tensor) -> Tensor:
        return torch.autograd.grad(held, early, factor.to(held)[:, None] * signs, retain_graph=True)[0].float()

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


def _names(grids: tuple[Grid, ...]) -> list[tuple[int, int, int]]:
    """Grid, row and column of each cell."""
    return [
        (number, *divmod(int(cell), grid.cols))
        for number, grid in enumerate(grids)
        for cell in np.flatnonzero(held_cells(grid))
    ]


def _held(grids: tuple[Grid, ...]) -> tuple[Doubles, Ints]:
    """Of each cell its place in the source image, (cell, 2), and which picture it is on, (cell, 2)."""
    places = np.concatenate([centres(grid)[held_cells(grid)] for grid in grids])
    counts = [int(held_cells(grid).sum()) for grid in grids]
    which = np.array([_which(grid) for grid in grids], dtype=object)
    return places, np.repeat(which, counts, axis=0)


def _which(grid: Grid) -> tuple[int, str]:
    return grid.image, grid.label

