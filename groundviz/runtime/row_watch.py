"""Keeping the attention rows that predict an answer, while the model's own kernel does its work.

Two ways, the same rows. *Deferred*: while tokens are generated one by one, only each step's query is
kept; one product with the final keys gives all rows afterwards, at little more than their own
arithmetic. *Immediate*: each step's row at once, where the keys of that step will not be there
later (sliding windows, static and quantised caches, beams).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from groundviz.errors import UnsupportedMethod
from groundviz.runtime.attention_rows import probabilities, scores
from groundviz.runtime.attention_tap import AttentionCall
from groundviz.runtime.own_row import columns_in


@dataclass(slots=True, eq=False)
class _Layer:
    """What one layer has shown so far.

    Attributes:
        seen: Tokens it has been asked about.
        rows: Finished rows (batch, head, row, column).
        queries: Queries of rows that are not finished.
        masks: Their masks, or None.
        latest: The call that holds all their keys.
    """

    seen: int = 0
    rows: list[Tensor] = field(default_factory=list)
    queries: list[Tensor] = field(default_factory=list)
    masks: list[Tensor | None] = field(default_factory=list)
    latest: AttentionCall | None = None


class RowWatch:
    """A tap handler that keeps attention to chosen columns.

    Args:
        columns: Absolute positions of the columns to keep, int (column,).
        rows: The rows of a single pass to keep; None while generating, for each call's last row.
        deferred: Whether keys stay as they are to the end of the generation.
    """

    def __init__(self, columns: Tensor, *, rows: slice | None = None, deferred: bool = False) -> None:
        self._columns, self._rows, self._deferred = columns, rows, deferred
        self._layers: dict[int, _Layer] = {}

    def __call__(self, call: AttentionCall) -> tuple[Tensor, Tensor | None]:
        """Note what is needed of one call, and let the kernel compute it."""
        layer = self._layers.setdefault(call.layer, _Layer())
        layer.seen += call.query.shape[2]
        if self._deferred and call.key.shape[2] == layer.seen:
            self._postpone(layer, call)
        else:
            self._finish(layer)
            last = slice(call.query.shape[2] - 1, None)
            layer.rows.append(self._kept(call.rows(self._rows or last), layer.seen))
        return call.run()

    def stacked(self, count: int) -> Tensor | None:
        """Rows as (row, layer, head, column); None when they are not `count` single rows.

        Raises:
            UnsupportedMethod: No tapped module was called.
        """
        for layer in self._layers.values():
            self._finish(layer)
        layers = [torch.cat(self._layers[i].rows, dim=2) for i in sorted(self._layers)]
        if not layers:
            raise UnsupportedMethod(
                "Attention could not be read: the model ran without calling any tapped attention module. "
                "A compiled model does this; pass the model it was compiled from."
            )
        if any(layer.shape[0] != 1 or layer.shape[2] < count for layer in layers):
            return None
        return torch.stack([layer[0, :, :count] for layer in layers]).permute(2, 0, 1, 3)

    def _postpone(self, layer: _Layer, call: AttentionCall) -> None:
        # A view of a long prompt's queries would keep all of them in memory.
        query = call.query[:, :, -1:]
        layer.queries.append(query.clone() if call.query.shape[2] > 1 else query)
        layer.masks.append(None if call.mask is None else call.mask[:, :, -1:])
        layer.latest = call

    def _finish(self, layer: _Layer) -> None:
        """Compute the postponed rows of a layer against the keys that its latest call saw."""
        call, count = layer.latest, len(layer.queries)
        if call is None or not count:
            return
        width = call.key.shape[2]
        raw = scores(torch.cat(layer.queries, dim=2), call.key, call.scaling)
        widths = torch.arange(width - count, width, device=raw.device)
        hidden = torch.arange(width, device=raw.device)[None, :] > widths[:, None]
        mask = _joined(layer.masks, hidden)
        shares = probabilities(raw, mask, softcap=call.softcap, sinks=call.sinks)
        layer.rows.append(self._kept(shares, width))
        layer.queries, layer.masks, layer.latest = [], [], None

    def _kept(self, shares: Tensor, seen: int) -> Tensor:
        inside, at = columns_in(shares.shape[3], seen, self._columns)
        return shares[..., at] * inside


def _joined(masks: list[Tensor | None], hidden: Tensor) -> Tensor:
    """The masks of single rows as one, with what came after each row hidden: (1, 1, row, column)."""
    joined = torch.zeros(hidden.shape, device=hidden.device).masked_fill(hidden, -torch.inf)[None, None]
    for row, mask in enumerate(masks):
        if mask is not None:
            part = joined[:, :, row : row + 1, : mask.shape[3]]
            part += torch.where(mask, 0.0, -torch.inf) if mask.dtype == torch.bool else mask
    return joined
