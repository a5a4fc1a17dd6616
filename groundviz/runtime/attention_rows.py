"""Exact attention probabilities of chosen query rows, from the tensors a kernel was given.

Scores are computed in float32 whatever the model's dtype: rounding them in bfloat16 would move
up to a few per cent of the mass of sharp rows.
"""

from __future__ import annotations

import torch
from torch import Tensor


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
    return (grouped @ key.float().transpose(2, 3) * scaling).view(batch, heads, rows, -1)


def visible(mask: Tensor | None, causal: bool, rows: slice, size: tuple[int, int]) -> Tensor | None:
    """The mask of some query rows: bool (True may look), float (added), or None for all.

    Args:
        mask: What the kernel was given, (batch, 1 or head, query, column) or None.
        causal: Whether a missing mask stands for "no later column", aligned at the upper left as
            in torch's own kernel.
        rows: Which query rows.
        size: Numbers of queries and of columns.
    """
    if mask is not None:
        return mask[:, :, rows, : size[1]]
    if not causal:
        return None
    queries = torch.arange(size[0])[rows]
    return (torch.arange(size[1])[None, :] <= queries[:, None])[None, None]


def probabilities(
    raw: Tensor, mask: Tensor | None, *, softcap: float | None = None, sinks: Tensor | None = None
) -> Tensor:
    """Softmax of scores over what each row may see; rows that see nothing are zero.

    Args:
        raw: Scores (batch, head, row, column).
        mask: As `visible` returns it.
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
    shares = torch.softmax(capped, dim=-1).nan_to_num(0.0)
    return shares if sinks is None else shares[..., :-1]


def weighted_values(shares: Tensor, value: Tensor) -> Tensor:
    """What rows read: shares (batch, head, row, column) times value (batch, key head, column, channel)."""
    batch, heads, rows, columns = shares.shape
    grouped = shares.reshape(batch, value.shape[1], -1, columns)
    return (grouped @ value.float()).view(batch, heads, rows, -1)
