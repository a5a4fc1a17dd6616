"""RISE's random masks, and what the answers seen through them say of each cell, with the error of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

CHUNK = 64


@dataclass(frozen=True, slots=True, eq=False)
class Masks:
    """Random masks, as coin throws on a grid that is wider than the image by one cell.

    Attributes:
        throws: 0 or 1, (mask, row, col), at the corners of the cells.
        shifts: (mask, 2), how far the image is shifted down and right on the grid, in cells.
    """

    throws: Tensor
    shifts: Tensor

    @classmethod
    def draw(cls, stream: torch.Generator, count: int, cells: int, keep: float) -> Masks:
        """Some masks of `cells` by `cells`, each cell of which is shown with the chance `keep`."""
        throws = torch.rand(count, cells + 2, cells + 2, generator=stream) < keep
        return cls(throws.float(), torch.rand(count, 2, generator=stream))

    def at(self, part: slice, rows: int, cols: int) -> Tensor:
        """Some masks at the centres of `rows` by `cols` equal parts of the image: (mask, row, col)."""
        along_rows = self._weights(self.shifts[part, 0], rows)
        along_cols = self._weights(self.shifts[part, 1], cols)
        return torch.einsum("mpr,mrc,mqc->mpq", along_rows, self.throws[part], along_cols)

    def explained(self, scores: Tensor, rows: int, cols: int) -> tuple[Tensor, Tensor | None]:
        """The mean of scores over the masks that show a cell, less that over all masks, and its error.

        The error is that of a ratio of means over independent masks, to first order: a mask moves the
        value by p = w / mean(w) * (y - value) - y, with w what it shows of the cell and y its score
        beyond the mean; the error is the deviation of p over the root of their number.

        Args:
            scores: Of the first masks, (mask, target).
            rows: Rows of the map.
            cols: Columns of the map.

        Returns:
            Two float64 (target, cell), the second None below two masks.
        """
        count, targets = scores.shape
        beyond = scores.double().cpu()
        beyond = beyond - beyond.mean(dim=0)
        powers = torch.cat([torch.ones(count, 1, dtype=torch.float64), beyond, beyond**2], dim=1)
        once, twice = (torch.zeros(1 + 2 * targets, rows * cols, dtype=torch.float64) for _ in range(2))
        for start in range(0, count, CHUNK):
            part = slice(start, min(start + CHUNK, count))
            shown = self.at(part, rows, cols).flatten(1).double()
            once += powers[part].T @ shown
            twice += powers[part].T @ shown**2
        weight, weighted, squared = once.split([1, targets, targets])
        value = weighted / weight
        if count < 2:
            return value, None
        share = weight / count
        both = (twice[-targets:] - 2 * value * twice[1:-targets] + value**2 * twice[:1]) / share**2
        across = (squared - value * weighted) / share
        moved = both - 2 * across + (beyond**2).sum(dim=0)[:, None]
        return value, (moved.clamp(min=0) / (count * (count - 1))).sqrt()

    def _weights(self, shift: Tensor, count: int) -> Tensor:
        """(mask, part, corner) weights of linear interpolation."""
        corners = self.throws.shape[1]
        at = (torch.arange(count) + 0.5) / count * (corners - 2) + shift[:, None]
        return (1 - (at[..., None] - torch.arange(corners)).abs()).clamp(min=0)
