"""Exact attention probabilities of chosen query rows, from the tensors a kernel was given.

Scores are computed in float32 whatever the model's dtype: rounding them in bfloat16 would move
up to a few per cent of the mass of sharp rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

Rows = slice | Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attention:
    """What the attention of any query row follows from.

    Attributes:
        query: (batch, head, query, channel), after rotary embedding.
        key: (batch, key head, column, channel), cache included.
        mask: (batch, 1 or head, query, column) bool or additive, (batch, column) bool for columns
            hidden from every row, or None.
        causal: Whether a row is kept from later columns where the mask does not say so.
        offset: If causal: the column at which the first row stands.
        window: If causal: how many columns a row sees at most, its own included; None for all.
        scaling: Factor on the dot products.
        softcap: Bound on the scores, or None.
        sinks: Per-head scores that take mass and show nothing, or None.
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

    def rows(self, rows: Rows) -> Tensor:
        """Exact attention of some query rows, float32 (batch, head, row, column).

        >>> ones = torch.ones(1, 1, 3, 2)
        >>> Attention(query=ones, key=ones, causal=True).rows(slice(0, 2)).tolist()
        [[[[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]]]
        """
        raw = scores(self.query[:, :, rows], self.key, self.scaling)
        if isinstance(rows, slice) and self._plainly_causal:
            self._hide_later(raw, rows)
            return torch.softmax(raw, dim=-1)
        return probabilities(raw, self.visible(rows), softcap=self.softcap, sinks=self.sinks)

    @property
    def _plainly_causal(self) -> bool:
        further = self.mask, self.window, self.softcap, self.sinks
        return self.causal and self.offset >= 0 and all(part is None for part in further)

    def _hide_later(self, raw: Tensor, rows: slice) -> None:
        """Hide from each row the columns behind its own; those before the first row need no look."""
        first = rows.indices(self.query.shape[2])[0] + self.offset + 1
        behind = raw[..., first:]
        later = torch.ones(behind.shape[2:], dtype=torch.bool, device=raw.device).triu()
        behind.masked_fill_(later, -torch.inf)

    def visible(self, rows: Rows) -> Tensor | None:
        """The mask of some query rows: bool (True may look), float (added), or None for all.

        (batch, 1 or head, row, column), each size but the columns' perhaps 1.
        """
        width = self.key.shape[2]
        if self.mask is not None and self.mask.ndim == 4:
            return self.mask[:, :, rows, :width]
        ordered = self._ordered(rows) if self.causal else None
        if self.mask is None:
            return ordered
        shown = torch.nn.functional.pad(self.mask.bool(), (0, width - self.mask.shape[1]))[:, None, None]
        return shown if ordered is None else shown & ordered

    def _ordered(self, rows: Rows) -> Tensor:
        device = self.key.device
        at = torch.arange(self.query.shape[2], device=device)[rows][:, None] + self.offset
        columns = torch.arange(self.key.shape[2], device=device)[None, :]
        seen = columns <= at
        if self.window is not None:
            seen &= columns > at - self.window
        return seen[None, None]


def scores(query: Tensor, key: Tensor, scaling: float) -> Tensor:
    """Scaled dot products, float32 (batch, head, row, column).

    Args:
        query: (batch, head, row, channel).
        key: (batch, key head, column, channel); each key head serves several query heads.
        scaling: Factor on the dot products.
    """
    batch, heads, rows, channels = query.shape
    groups = heads // key.shape[1]
    grouped = query.float().reshape(batch, key.shape[1], groups * rows, channels)
    # Scaling the few queries saves a pass over the many scores.
    return (grouped * scaling @ key.float().transpose(2, 3)).view(batch, heads, rows, -1)


def probabilities(
    raw: Tensor, mask: Tensor | None, *, softcap: float | None = None, sinks: Tensor | None = None
) -> Tensor:
    """Softmax of scores over what each row may see; rows that see nothing are zero.

    Args:
        raw: Scores (batch, head, row, column).
        mask: As `Attention.visible` returns it.
        softcap: Bound on the scores, as Gemma 2 uses.
        sinks: One learned score per head that takes mass and shows nothing, as GPT-OSS uses.
    """
    capped = torch.tanh(raw / softcap) * softcap if softcap else raw
    if mask is not None:
        mask = mask.to(raw.device)
        capped = capped.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else capped + mask
    if sinks is not None:
        column = sinks.float().reshape(1, -1, 1, 1).expand(*capped.shape[:3], 1)
        capped = torch.cat([capped, column], dim=-1)
    shares = torch.softmax(capped, dim=-1)
    if mask is not None:
        shares = shares.nan_to_num(0.0)  # of rows that see nothing
    return shares if sinks is None else shares[..., :-1]


def weighted_values(shares: Tensor, value: Tensor) -> Tensor:
    """What rows read: shares (batch, head, row, column) times value (batch, key head, column, channel)."""
    batch, heads, rows, columns = shares.shape
    grouped = shares.reshape(batch, value.shape[1], -1, columns)
    return (grouped @ value.float()).view(batch, heads, rows, -1)
