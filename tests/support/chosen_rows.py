"""Attention of chosen rows and its gradient, from a whole pass: the reference for what the package reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from groundviz.errors import UnsupportedMethod
from groundviz.runtime.attention.backward_tap import BackwardTap
from groundviz.runtime.attention.propagation import Block, Gradients
from groundviz.runtime.attention.rows import Attention
from groundviz.runtime.attention.tap import AttentionCall


@dataclass(frozen=True, slots=True, eq=False)
class Positions:
    """Which rows and columns of attention are wanted.

    Tokens are counted through all calls and batch items of a layer: with four windows of 16 tokens,
    17 is the second token of the second window. Columns that are no row, as in cross-attention,
    count on their own.

    Attributes:
        rows: int (row,).
        columns: int (column,).
    """

    rows: Tensor
    columns: Tensor

    def blank(self, attention: Attention) -> Tensor:
        """Zeros (row, head, column), to be filled call by call."""
        size = (len(self.rows), attention.query.shape[1], len(self.columns))
        return torch.zeros(size, device=self.rows.device)

    def fill(self, block: Block, into: Tensor, values: Callable[[Block, Tensor], Tensor]) -> None:
        """Fill the part of (row, head, column) that one call covers.

        Args:
            block: The call.
            into: What to fill.
            values: Gives (1, head, row, column) for a block of one batch item and its row numbers.
        """
        count, width = block.attention.query.shape[2], block.attention.key.shape[2]
        first = block.start if count == width else 0
        for number, item in enumerate(_items(block)):
            rows, local_rows = _inside(self.rows, block.start + number * count, count)
            columns, local_columns = _inside(self.columns, first + number * width, width)
            if len(rows) and len(columns):
                found = values(item, local_rows)[0][..., local_columns].to(into.device)
                into[rows[:, None], :, columns[None, :]] = found.permute(1, 2, 0)


class ChosenRows:
    """A tap handler that keeps the attention weights of chosen rows of one pass.

    Args:
        rows: Tokens whose attention is wanted, int (row,).
        columns: Tokens it is wanted at, int (column,). Both are counted as in `Positions`.
    """

    def __init__(self, rows: Tensor, columns: Tensor) -> None:
        self._positions = Positions(rows, columns)
        self._rows_so_far: dict[int, int] = {}
        self._weights: dict[int, Tensor] = {}

    def __call__(self, call: AttentionCall) -> tuple[Tensor, Tensor | None]:
        """Keep the wanted rows of one call, and let the kernel compute it."""
        start = self._rows_so_far.get(call.layer, 0)
        self._rows_so_far[call.layer] = start + call.query.shape[0] * call.query.shape[2]
        into = self._weights.setdefault(call.layer, self._positions.blank(call))
        with torch.no_grad():
            self._positions.fill(Block(call, start), into, _weights)
        return call.run()

    def weights(self) -> Tensor:
        """Attention weights, float32 (row, layer, head, column); zero where a row has no such column.

        Raises:
            UnsupportedMethod: No tapped module was called.
        """
        return _stacked(self._weights)


class GradientRows:
    """A tap handler that gives the attention weights of chosen rows and a scalar's gradient there.

    Works in any pass with gradients enabled, at any attention the scalar depends on, also under
    checkpointing. The gradient is the whole one: the effect of a row on later rows is in it.

    Args:
        rows: Tokens whose attention is wanted, int (row,).
        columns: Tokens it is wanted at, int (column,). Both are counted as in `Positions`.
    """

    def __init__(self, rows: Tensor, columns: Tensor) -> None:
        self._positions = Positions(rows, columns)
        self._tap = BackwardTap()

    def __call__(self, call: AttentionCall) -> tuple[Tensor, Tensor | None]:
        """Let the kernel compute, and wrap its output for the backward pass."""
        return self._tap(call)

    def gradients(self, scalar: Tensor, *, retain: bool = False) -> tuple[Tensor, Tensor]:
        """Attention weights and their gradients, float32 (row, layer, head, column) each.

        Layers on which the scalar does not depend are left out. Where a row has no such column,
        both are zero.

        Args:
            scalar: Computed by the pass.
            retain: Whether the pass will be asked for another scalar.

        Raises:
            UnsupportedMethod: The scalar depends on no tapped attention.
        """
        weights: dict[int, Tensor] = {}
        gradients: dict[int, Tensor] = {}

        def receive(layer: int, block: Block) -> None:
            for found, values in ((weights, _weights), (gradients, _gradients)):
                into = found.setdefault(layer, self._positions.blank(block.attention))
                self._positions.fill(block, into, values)

        self._tap.back(scalar, receive, retain=retain)
        return _stacked(weights), _stacked(gradients)


def _weights(block: Block, rows: Tensor) -> Tensor:
    return block.attention.rows(rows)


def _gradients(block: Block, rows: Tensor) -> Tensor:
    return cast(Gradients, block.gradients).rows(rows, block.attention.key.shape[2])


def _items(block: Block) -> Iterator[Block]:
    """The items of a call's batch, each as a call of its own."""
    attention, gradients = block.attention, block.gradients
    for number in range(len(attention.query)):
        own = slice(number, number + 1)
        mask = attention.mask
        if mask is not None and len(mask) > 1:
            mask = mask[own]
        yield Block(
            replace(attention, query=attention.query[own], key=attention.key[own], mask=mask),
            gradients=gradients and Gradients(gradients.output[own], gradients.value[own]),
        )


def _inside(positions: Tensor, start: int, count: int) -> tuple[Tensor, Tensor]:
    """Which positions lie in a range, and where in it they lie."""
    found = ((positions >= start) & (positions < start + count)).nonzero()[:, 0]
    return found, positions[found] - start


def _stacked(layers: dict[int, Tensor]) -> Tensor:
    if not layers:
        raise UnsupportedMethod(
            "Attention could not be read: the model ran without calling any tapped attention module. "
            "A compiled model does this; pass the model it was compiled from."
        )
    return torch.stack([layers[number] for number in sorted(layers)], dim=1)
