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
from groundviz.runtime.attention_rows import Attention, probabilities, scores
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
        cross: Whether the columns are another stream's tokens, the same at every step, and not the
            text itself. `columns` then counts in that stream.
    """

    def __init__(
        self, columns: Tensor, *, rows: slice | None = None, deferred: bool = False, cross: bool = False
    ) -> None:
        self._columns, self._rows, self._deferred, self._cross = columns, rows, deferred, cross
        self._layers: dict[int, _Layer] = {}

    def __call__(self, call: AttentionCall) -> tuple[Tensor, Tensor | None]:
        """Note what is needed of one call, and let the kernel compute it."""
        layer = self._layers.setdefault(call.layer, _Layer())
        layer.seen += call.query.shape[2]
        if self._deferred and (self._cross or call.key.shape[2] == layer.seen):
            self._postpone(layer, call)
        else:
            self._finish(layer)
            last = slice(call.query.shape[2] - 1, None)
            layer.rows.append(self._kept(call.rows(self._rows or last), layer.seen))
        return call.run()

    def stacked(self, count: int) -> Tensor | None:
        """Hand over the rows as (row, layer, head, column); None when they are not `count` single rows.

        Raises:
            UnsupportedMethod: No tapped module was called.
        """
        if not self._layers:
            raise UnsupportedMethod(
                "Attention could not be read: the model ran without calling any tapped attention module. "
                "A compiled model does this; pass the model it was compiled from."
            )
        stacked: Tensor | None = None
        numbers = sorted(self._layers)
        for place, number in enumerate(numbers):
            # One layer at a time, and let go of at once: rows of all layers twice would be much.
            layer = self._layers.pop(number)
            self._finish(layer)
            rows = torch.cat(layer.rows, dim=2)
            if rows.shape[0] != 1 or rows.shape[2] < count:
                return None
            if stacked is None:
                stacked = rows.new_empty(len(numbers), rows.shape[1], count, rows.shape[3])
            stacked[place] = rows[0, :, :count]
        return None if stacked is None else stacked.permute(2, 0, 1, 3)

    def _postpone(self, layer: _Layer, call: AttentionCall) -> None:
        # A view of a long prompt's queries would keep all of them in memory.
        query = call.query[:, :, -1:]
        layer.queries.append(query.clone() if call.query.shape[2] > 1 else query)
        layer.masks.append(None if call.mask is None else call.visible(slice(call.query.shape[2] - 1, None)))
        layer.latest = call

    def _finish(self, layer: _Layer) -> None:
        """Compute the postponed rows of a layer against the keys that its latest call saw."""
        call, count = layer.latest, len(layer.queries)
        if call is None or not count:
            return
        query = torch.cat(layer.queries, dim=2)
        raw = scores(query, call.key, call.scaling)
        shares = probabilities(raw, self._shown(layer, query, call), softcap=call.softcap, sinks=call.sinks)
        layer.rows.append(self._kept(shares, call.key.shape[2]))
        layer.queries, layer.masks, layer.latest = [], [], None

    def _shown(self, layer: _Layer, query: Tensor, call: AttentionCall) -> Tensor | None:
        """What postponed rows may see: their own masks, and nothing that came after them."""
        if self._cross:
            return _joined(layer.masks, torch.zeros(query.shape[2], call.key.shape[2], device=query.device))
        ordered = Attention(
            query=query,
            key=call.key,
            causal=True,
            offset=call.key.shape[2] - query.shape[2],
            window=call.window,
        ).visible(slice(None))
        if ordered is None or all(mask is None for mask in layer.masks):
            return ordered
        return _joined(
            layer.masks,
            torch.zeros_like(ordered, dtype=torch.float32).masked_fill(~ordered, -torch.inf)[0, 0],
        )

    def _kept(self, shares: Tensor, seen: int) -> Tensor:
        width = shares.shape[3]
        inside, at = columns_in(width, width if self._cross else seen, self._columns)
        return shares[..., at] * inside


def _joined(masks: list[Tensor | None], start: Tensor) -> Tensor:
    """The masks of single rows added on `start` (row, column): (batch, 1 or head, row, column)."""
    given = [mask for mask in masks if mask is not None]
    batch, heads = (max([1, *(mask.shape[axis] for mask in given)]) for axis in (0, 1))
    joined = start.repeat(batch, heads, 1, 1)
    for row, mask in enumerate(masks):
        if mask is not None:
            part = joined[:, :, row : row + 1, : mask.shape[-1]]
            part += torch.where(mask, 0.0, -torch.inf) if mask.dtype == torch.bool else mask
    return joined
