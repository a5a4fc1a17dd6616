"""Exact attention weights of chosen query rows, from the tensors that the kernel was given.

The softmax over scaled dot products is computed in float32 whatever the model's dtype: in bfloat16,
rounding the scores would move up to a few per cent of the mass of sharp rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

Rows = slice | Tensor


class Workspace:
    """Memory on the processor that the scores of one call after another are computed in.

    The operating system clears fresh memory page by page, which takes as long as the products of a few rows.
    Torch keeps an accelerator's memory itself, so there is nothing to gain there.

    Args:
        size: How many numbers it holds at first; it grows as it must.
    """

    def __init__(self, size: int = 0) -> None:
        # Memory that is never written to costs nothing.
        self._buffer = torch.empty(size)

    def take(self, shape: tuple[int, ...]) -> Tensor:
        """The memory as float32 of that shape; what was last written to it is lost."""
        size = math.prod(shape)
        if self._buffer.numel() < size:
            # The old memory is given back first.
            self._buffer = torch.empty(0)
            self._buffer = torch.empty(size)
        return self._buffer[:size].view(shape)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attention:
    """Everything that determines the attention weights of a call's query rows.

    Attributes:
        query: (batch, head, query, channel), after rotary embedding.
        key: (batch, key head, column, channel), cache included.
        mask: (batch, 1 or head, query, column) bool or additive, (batch, column) bool for columns
            hidden from every row, or None.
        causal: Whether later columns are hidden from a row where the mask does not say so.
        offset: If causal: the column of the first row's own token.
        window: If causal: how many columns a row sees at most, its own included; None for all.
        scaling: Factor on the dot products.
        softcap: Bound on the scores, or None.
        sinks: Per-head scores that take part in the softmax and belong to no column, or None.
    """

    query: Tensor
    key: Tensor
    mask: Tensor | None = None
    causal: bool = False
    offset: int = 0
    window: int | None = None
    scaling: float = 1.0
    softcap: float | None = None
    sinks: Tensor | None = None

    def rows(self, rows: Rows, workspace: Workspace | None = None) -> Tensor:
        """Exact attention weights of some query rows, float32 (batch, head, row, column).

        Args:
            rows: Which.
            workspace: Memory to compute them in, without gradients: the next call with it overwrites them.

        >>> ones = torch.ones(1, 1, 3, 2)
        >>> Attention(query=ones, key=ones, causal=True).rows(slice(0, 2)).tolist()
        [[[[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]]]
        """
        raw = scores(self.query[:, :, rows], self.key, self.scaling, workspace)
        if isinstance(rows, slice) and self.plainly_causal:
            # The common case, without a mask tensor as large as the scores.
            self._hide_later(raw, rows)
            if workspace is None or raw.device.type != "cpu":
                return torch.softmax(raw, dim=-1)
            # In place: a processor has read all of a row before it writes there.
            return torch.softmax(raw, dim=-1, out=raw)
        return probabilities(raw, self.visible(rows), softcap=self.softcap, sinks=self.sinks)

    @property
    def plainly_causal(self) -> bool:
        """Whether each row sees the columns up to its own, and nothing else changes the scores."""
        further = (self.mask, self.window, self.softcap, self.sinks)
        return self.causal and self.offset >= 0 and all(part is None for part in further)

    def _hide_later(self, raw: Tensor, rows: slice) -> None:
        """Hide from each row the columns after its own, in place."""
        first_row = rows.indices(self.query.shape[2])[0]
        # All rows see the columns up to the first row's own, so these are left out.
        after = raw[..., first_row + self.offset + 1 :]
        later = torch.ones(after.shape[2:], dtype=torch.bool, device=raw.device).triu()
        after.masked_fill_(later, -torch.inf)

    def visible(self, rows: Rows) -> Tensor | None:
        """The mask of some query rows: bool (True is visible), float (added), or None for all visible.

        (batch, 1 or head, row, column); each size except that of the columns may be 1.
        """
        width = self.key.shape[2]
        if self.mask is not None and self.mask.ndim == 4:
            return self.mask[:, :, rows, :width]
        if self.mask is None:
            return self._causal_mask(rows) if self.causal else None
        shown = torch.nn.functional.pad(self.mask.bool(), (0, width - self.mask.shape[1]))[:, None, None]
        if self.causal:
            shown = shown & self._causal_mask(rows)
        return shown

    def _causal_mask(self, rows: Rows) -> Tensor:
        device = self.key.device
        own_column = torch.arange(self.query.shape[2], device=device)[rows][:, None] + self.offset
        columns = torch.arange(self.key.shape[2], device=device)[None, :]
        seen = columns <= own_column
        if self.window is not None:
            seen &= columns > own_column - self.window
        return seen[None, None]


def scores(query: Tensor, key: Tensor, scaling: float, workspace: Workspace | None = None) -> Tensor:
    """Scaled dot products, float32 (batch, head, row, column).

    Args:
        query: (batch, head, row, channel).
        key: (batch, key head, column, channel); each key head serves several query heads.
        scaling: Factor on the dot products.
        workspace: Memory to compute them in, or None.
    """
    batch, heads, rows, channels = query.shape
    groups = heads // key.shape[1]
    grouped = query.float().reshape(batch, key.shape[1], groups * rows, channels)
    # Scaling the few queries saves a pass over the many scores.
    scaled, turned = grouped * scaling, key.float().transpose(2, 3)
    if workspace is None or query.device.type != "cpu":
        return (scaled @ turned).view(batch, heads, rows, -1)
    shape = (batch, key.shape[1], groups * rows, key.shape[2])
    found = torch.matmul(scaled, turned, out=workspace.take(shape))
    return found.view(batch, heads, rows, -1)


def probabilities(
    raw: Tensor, mask: Tensor | None, *, softcap: float | None = None, sinks: Tensor | None = None
) -> Tensor:
    """Softmax of scores over what each row may see; rows that see nothing are zero.

    Args:
        raw: Scores (batch, head, row, column).
        mask: As `Attention.visible` returns it.
        softcap: Bound on the scores, as Gemma 2 uses.
        sinks: One learned score per head that takes part in the softmax and belongs to no column, as
            GPT-OSS uses.
    """
    if softcap:
        raw = torch.tanh(raw / softcap) * softcap
    if mask is not None:
        mask = mask.to(raw.device)
        if mask.dtype == torch.bool:
            raw = raw.masked_fill(~mask, -torch.inf)
        else:
            raw = raw + mask
    if sinks is not None:
        column = sinks.float().reshape(1, -1, 1, 1).expand(*raw.shape[:3], 1)
        raw = torch.cat([raw, column], dim=-1)
    weights = torch.softmax(raw, dim=-1)
    if mask is not None:
        # The softmax of a row that sees nothing is NaN.
        weights = weights.nan_to_num(0.0)
    if sinks is not None:
        weights = weights[..., :-1]
    return weights


def weighted_values(weights: Tensor, value: Tensor) -> Tensor:
    """Attention output (batch, head, row, channel) of weights (batch, head, row, column).

    Args:
        weights: Attention weights.
        value: (batch, key head, column, channel); each key head serves several query heads.
    """
    batch, heads, rows, columns = weights.shape
    grouped = weights.reshape(batch, value.shape[1], -1, columns)
    return (grouped @ value.float()).view(batch, heads, rows, -1)
