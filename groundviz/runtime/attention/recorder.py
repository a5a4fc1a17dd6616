"""Attention rows of question and answer, kept during generation while the model's own kernel computes.

There are two ways to the same rows. *Deferred*: while tokens are generated one by one, only each step's
query is kept, and one product with the final keys of the KV cache gives all rows afterwards. *Immediate*:
each step's row is computed at once, where the keys of that step will not be there later (sliding windows,
static and quantised caches, beams). Rows of the question are computed at once, in the pass over the
prompt or over each of its parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from groundviz.errors import UnsupportedMethod
from groundviz.runtime.attention.row_gradients import as_slice, columns_in, for_heads
from groundviz.runtime.attention.rows import Workspace
from groundviz.runtime.attention.tap import AttentionCall


@dataclass(slots=True, eq=False)
class _Layer:
    """What has been kept of one layer so far.

    Attributes:
        seen: How many tokens it has read.
        heads: How many heads it has.
        rows: Finished rows (batch, head, row, column).
        queries: Queries of rows that are not finished.
        masks: Their masks, or None.
        latest: The call that holds all their keys.
        question: Rows of the question (1, head, row, column).
    """

    seen: int = 0
    heads: int = 0
    rows: list[Tensor] = field(default_factory=list)
    queries: list[Tensor] = field(default_factory=list)
    masks: list[Tensor | None] = field(default_factory=list)
    latest: AttentionCall | None = None
    question: list[Tensor] = field(default_factory=list)


class RowWatch:
    """A tap handler that keeps attention to chosen columns.

    Args:
        columns: Positions of the columns to keep, int (column,).
        rows: The rows of a single pass to keep; None during generation, for each call's last row.
        start: During generation: position of the first row to keep. Calls that end before it belong to
            a prompt that is read in several parts.
        deferred: Whether keys stay as they are to the end of the generation.
        growing: Whether, moreover, each step's keys hold all keys of the steps before.
        cross: Whether the columns are another stream's tokens (cross-attention), the same at every
            step. `columns` then counts in that stream.
        question: Positions in the prompt of further rows to keep, ascending.
    """

    def __init__(
        self,
        columns: Tensor,
        *,
        rows: slice | None = None,
        start: int = 0,
        deferred: bool = False,
        growing: bool = False,
        cross: bool = False,
        question: Sequence[int] = (),
    ) -> None:
        self._columns = columns
        self._rows = rows
        self._deferred = deferred
        self._growing = growing
        self._cross = cross
        self._start = start
        self._question = tuple(question)
        numbers = columns.tolist()
        self._columns_slice = as_slice(numbers)
        self._columns_end = max(numbers, default=-1) + 1
        self._layers: dict[int, _Layer] = {}
        # How many tokens the layer that has read most has read.
        self._seen = 0
        self._workspace = Workspace()

    def __call__(self, call: AttentionCall) -> tuple[Tensor, Tensor | None]:
        """Keep what is needed of one call, and let the kernel compute it."""
        layer = self._layers.setdefault(call.layer, _Layer())
        # Layers that share the keys of others may read the last tokens of a prompt alone.
        layer.seen = self._seen = max(layer.seen + call.query.shape[2], self._seen)
        layer.heads, start = call.query.shape[1], layer.seen - call.query.shape[2]
        if self._growing:
            self._let_go(call.layer + 1)
        if self._question and start <= self._question[-1]:
            self._read_question(layer, call, start)
        if layer.seen <= self._start:
            return call.run()
        if self._deferred and (self._cross or call.key.shape[2] == layer.seen):
            self._postpone(layer, call)
        else:
            self._finish(layer)
            last_row = slice(call.query.shape[2] - 1, None)
            rows = call.rows(self._rows or last_row)
            layer.rows.append(self._at_columns(rows, layer.seen))
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
        heads = max(layer.heads for layer in self._layers.values())
        for place, number in enumerate(numbers):
            # Each layer is released once it is copied, so that memory never holds all rows twice.
            layer = self._layers.pop(number)
            self._finish(layer, self._workspace)
            rows = layer.rows[0]
            if len(layer.rows) > 1:
                rows = torch.cat(layer.rows, dim=2)
            if rows.shape[0] != 1 or rows.shape[2] < count:
                return None
            if stacked is None:
                stacked = rows.new_empty(len(numbers), heads, count, rows.shape[3])
            stacked[place] = for_heads(rows[0, :, :count], heads)
        if stacked is None:
            return None
        return stacked.permute(2, 0, 1, 3)

    def question(self) -> Tensor | None:
        """Hand over the question's rows as (row, layer, head, column); to be called before `stacked`.

        None where the model did not read the prompt token by token.
        """
        count = len(self._question)
        layers = [self._layers[number] for number in sorted(self._layers)]
        if not count or not layers:
            return None
        for layer in layers:
            if sum(rows.shape[2] for rows in layer.question) != count:
                return None
        first = layers[0].question[0]
        heads = max(layer.question[0].shape[1] for layer in layers)
        stacked = first.new_empty(len(layers), heads, count, first.shape[3])
        for place, layer in enumerate(layers):
            rows = layer.question[0]
            if len(layer.question) > 1:
                rows = torch.cat(layer.question, dim=2)
            stacked[place] = for_heads(rows[0], heads)
            # As in `stacked`: memory never holds all rows twice.
            layer.question.clear()
        return stacked.permute(2, 0, 1, 3)

    def _let_go(self, number: int) -> None:
        """Release a layer's keys of the step before, just before the model makes them anew.

        Until then the cache holds them anyway. Afterwards two copies would be in memory.
        """
        layer = self._layers.get(number)
        if layer is not None:
            layer.latest = None

    def _read_question(self, layer: _Layer, call: AttentionCall, start: int) -> None:
        """Keep the rows of the question that one call holds, whose first row is at position `start`."""
        rows_here = [position - start for position in self._question if start <= position < layer.seen]
        if rows_here:
            rows = call.rows(as_slice(rows_here) or torch.tensor(rows_here), self._workspace)
            # A view would be overwritten by the next layer.
            layer.question.append(self._at_columns(rows[:1], layer.seen).clone())

    def _postpone(self, layer: _Layer, call: AttentionCall) -> None:
        """Keep the last query of a call, and the call itself for its keys."""
        last = call.query.shape[2] - 1
        query = call.query
        if last > 0:
            # A view of a long prompt's queries would keep all of them in memory.
            query = query[:, :, last:].clone()
        mask = None
        if call.mask is not None:
            mask = call.visible(slice(last, None))
        layer.queries.append(query)
        layer.masks.append(mask)
        layer.latest = call

    def _finish(self, layer: _Layer, workspace: Workspace | None = None) -> None:
        """Compute the postponed rows of a layer from the keys of its latest call.

        In a workspace, the next rows overwrite them.
        """
        call, count = layer.latest, len(layer.queries)
        if call is None or not count:
            return
        width = call.key.shape[2]
        attention = replace(
            call,
            query=torch.cat(layer.queries, dim=2),
            mask=None,
            causal=not self._cross,
            offset=width - count,
        )
        if any(mask is not None for mask in layer.masks):
            mask = _joined(layer.masks, attention.visible(slice(None)), width)
            attention = replace(attention, mask=mask)
        layer.rows.append(self._at_columns(attention.rows(slice(None), workspace), width))
        layer.queries, layer.masks, layer.latest = [], [], None

    def _at_columns(self, rows: Tensor, seen: int) -> Tensor:
        """Rows (batch, head, row, column) at the wanted columns; zero at those the layer does not hold."""
        width = rows.shape[3]
        # Layers may be spread over several devices.
        columns = self._columns.to(rows.device)
        if self._cross or width >= max(seen, self._columns_end):
            if self._columns_slice is not None:
                return rows[..., self._columns_slice]
            return rows[..., columns]
        inside, index = columns_in(width, seen, columns)
        return rows[..., index] * inside


def _joined(masks: list[Tensor | None], shown: Tensor | None, width: int) -> Tensor:
    """The masks of single rows as one additive mask, (batch, 1 or head, row, column).

    Args:
        masks: Of each row, as `Attention.visible` gives them. A narrower one hides no further column.
        shown: The causal mask of all of them, (1, 1, row, column), or None.
        width: Number of columns.
    """
    given = [mask for mask in masks if mask is not None]
    batch = max(mask.shape[0] for mask in given)
    heads = max(mask.shape[1] for mask in given)
    joined = torch.zeros(batch, heads, len(masks), width, device=given[0].device)
    if shown is not None:
        joined.masked_fill_(~shown, -torch.inf)
    for row, mask in enumerate(masks):
        if mask is None:
            continue
        if mask.dtype == torch.bool:
            mask = torch.where(mask, 0.0, -torch.inf)
        joined[:, :, row : row + 1, : mask.shape[-1]] += mask
    return joined
