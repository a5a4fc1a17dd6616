"""Keeping the attention rows of question and answer, while the model's own kernel does its work.

Two ways, the same rows. *Deferred*: while tokens are generated one by one, only each step's query is
kept; one product with the final keys gives all rows afterwards, at little more than their own
arithmetic. *Immediate*: each step's row at once, where the keys of that step will not be there
later (sliding windows, static and quantised caches, beams). Rows of the question are read in the
pass over the prompt, or in each of its parts, at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from groundviz.errors import UnsupportedMethod
from groundviz.runtime.attention.row_gradients import columns_in
from groundviz.runtime.attention.tap import AttentionCall


@dataclass(slots=True, eq=False)
class _Layer:
    """What one layer has shown so far.

    Attributes:
        seen: Tokens it has been asked about.
        rows: Finished rows (batch, head, row, column).
        queries: Queries of rows that are not finished.
        masks: Their masks, or None.
        latest: The call that holds all their keys.
        question: Rows of the question (1, head, row, column).
    """

    seen: int = 0
    rows: list[Tensor] = field(default_factory=list)
    queries: list[Tensor] = field(default_factory=list)
    masks: list[Tensor | None] = field(default_factory=list)
    latest: AttentionCall | None = None
    question: list[Tensor] = field(default_factory=list)


class RowWatch:
    """A tap handler that keeps attention to chosen columns.

    Args:
        columns: Absolute positions of the columns to keep, int (column,).
        rows: The rows of a single pass to keep; None while generating, for each call's last row.
        start: While generating: position of the first row to keep. Calls that end before it read parts
            of a prompt that is read in several.
        deferred: Whether keys stay as they are to the end of the generation.
        cross: Whether the columns are another stream's tokens, the same at every step, and not the
            text itself. `columns` then counts in that stream.
        question: Positions in the prompt of further rows to keep, ascending.
    """

    def __init__(
        self,
        columns: Tensor,
        *,
        rows: slice | None = None,
        start: int = 0,
        deferred: bool = False,
        cross: bool = False,
        question: Sequence[int] = (),
    ) -> None:
        self._columns, self._rows, self._deferred, self._cross = columns, rows, deferred, cross
        self._start, self._question = start, tuple(question)
        numbers = columns.tolist()
        self._run, self._reach = _run(numbers), max(numbers, default=-1) + 1
        self._layers: dict[int, _Layer] = {}

    def __call__(self, call: AttentionCall) -> tuple[Tensor, Tensor | None]:
        """Note what is needed of one call, and let the kernel compute it."""
        layer = self._layers.setdefault(call.layer, _Layer())
        layer.seen += call.query.shape[2]
        self._read_question(layer, call)
        if layer.seen <= self._start:
            return call.run()
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
            rows = layer.rows[0] if len(layer.rows) == 1 else torch.cat(layer.rows, dim=2)
            if rows.shape[0] != 1 or rows.shape[2] < count:
                return None
            if stacked is None:
                stacked = rows.new_empty(len(numbers), rows.shape[1], count, rows.shape[3])
            stacked[place] = rows[0, :, :count]
        return None if stacked is None else stacked.permute(2, 0, 1, 3)

    def question(self) -> Tensor | None:
        """Hand over the question's rows as (row, layer, head, column), before `stacked` does the others.

        None where the model did not read the prompt token by token.
        """
        count = len(self._question)
        read = [self._layers[number].question for number in sorted(self._layers)]
        if not count or not read or any(sum(rows.shape[2] for rows in parts) != count for parts in read):
            return None
        (_, heads, _, columns), first = read[0][0].shape, read[0][0]
        stacked = first.new_empty(len(read), heads, count, columns)
        for place, parts in enumerate(read):
            stacked[place] = torch.cat(parts, dim=2)[0]
            parts.clear()  # As below: all layers twice would be much.
        return stacked.permute(2, 0, 1, 3)

    def _read_question(self, layer: _Layer, call: AttentionCall) -> None:
        """Keep the rows of the question that one call holds; its keys, of all before them, are there now."""
        start = layer.seen - call.query.shape[2]
        here = [at - start for at in self._question if start <= at < layer.seen]
        if here:
            rows = call.rows(_run(here) or torch.tensor(here))
            # A view would keep all columns in memory.
            layer.question.append(self._kept(rows[:1], layer.seen).contiguous())

    def _postpone(self, layer: _Layer, call: AttentionCall) -> None:
        last, query = call.query.shape[2] - 1, call.query
        # A view of a long prompt's queries would keep all of them in memory.
        layer.queries.append(query[:, :, last:].clone() if last else query)
        layer.masks.append(None if call.mask is None else call.visible(slice(last, None)))
        layer.latest = call

    def _finish(self, layer: _Layer) -> None:
        """Compute the postponed rows of a layer against the keys that its latest call saw."""
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
            attention = replace(attention, mask=_joined(layer.masks, attention.visible(slice(None)), width))
        layer.rows.append(self._kept(attention.rows(slice(None)), width))
        layer.queries, layer.masks, layer.latest = [], [], None

    def _kept(self, shares: Tensor, seen: int) -> Tensor:
        width = shares.shape[3]
        # Layers may be spread over several devices.
        columns = self._columns.to(shares.device)
        if self._cross or width >= max(seen, self._reach):
            return shares[..., columns if self._run is None else self._run]
        inside, at = columns_in(width, seen, columns)
        return shares[..., at] * inside


def _run(numbers: list[int]) -> slice | None:
    """Places that follow one another, as a slice: no copy is needed to pick them."""
    together = numbers and numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    return slice(numbers[0], numbers[-1] + 1) if together else None


def _joined(masks: list[Tensor | None], shown: Tensor | None, width: int) -> Tensor:
    """The masks of single rows as one added mask, (batch, 1 or head, row, column).

    Args:
        masks: Of each row, as `Attention.visible` gives them; narrower ones hide nothing further.
        shown: What all of them may see besides, (1, 1, row, column).
        width: Number of columns.
    """
    given = [mask for mask in masks if mask is not None]
    batch, heads = (max(mask.shape[axis] for mask in given) for axis in (0, 1))
    joined = torch.zeros(batch, heads, len(masks), width, device=given[0].device)
    if shown is not None:
        joined.masked_fill_(~shown, -torch.inf)
    for row, mask in enumerate(masks):
        if mask is not None:
            part = joined[:, :, row : row + 1, : mask.shape[-1]]
            part += torch.where(mask, 0.0, -torch.inf) if mask.dtype == torch.bool else mask
    return joined
