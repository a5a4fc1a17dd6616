"""Attention of chosen rows and its gradient, while the model's own kernel does the work.

Every attention call of a pass is heard twice: forward, where the kernel's output is wrapped in an
identity, and backward, where that identity is handed dO, the gradient of a scalar with respect to
the output. The gradient with respect to attention is dO times V transposed: no square map is ever
there. Query, key and value are kept as autograd keeps its own tensors, so under checkpointing they
are computed again and not held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from groundviz.errors import UnsupportedMethod
from groundviz.runtime.attention.propagation import Block, Gradients
from groundviz.runtime.attention.rows import Attention
from groundviz.runtime.attention.tap import AttentionCall

Hear = Callable[[int, Block], None]


class BackwardTap:
    """Hears attention calls again when a gradient passes them, last layer first.

    Layers may be called several times in one pass, once per window or image: their tokens are
    numbered on. A pass under checkpointing may call them again.
    """

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}
        self._sizes: dict[int, int] = {}
        self._hear: Hear | None = None
        # Every call's output depends on this, so that a gradient towards it passes them all.
        self._below = torch.zeros((), requires_grad=True)

    def __call__(self, call: AttentionCall) -> tuple[Tensor, Tensor | None]:
        """Let the kernel compute, and stay in the path of its gradient."""
        output, weights = call.run()
        start = self._seen.get(call.layer, 0)
        self._seen[call.layer] = start + call.query.shape[0] * call.query.shape[2]
        # Nothing handed on here may hold a tensor of the call but through autograd.
        described = {part.name: getattr(call, part.name) for part in fields(Attention)}
        tensors = {name: part for name, part in described.items() if isinstance(part, Tensor)}
        facts = {name: part for name, part in described.items() if name not in tensors}
        hear = partial(self._heard, call.layer, start, facts, tuple(tensors))
        apply = cast(Callable[..., Tensor], _Identity.apply)
        return apply(output, self._below, hear, call.value, *tensors.values()), weights

    def back(self, scalar: Tensor, hear: Hear, *, retain: bool = False) -> None:
        """Send the gradient of a scalar back through the pass; `hear` gets each layer's calls.

        Args:
            scalar: Computed by the pass, with gradients enabled.
            hear: Called with the layer number and its rows.
            retain: Whether the pass will be asked for another scalar.

        Raises:
            UnsupportedMethod: The scalar does not depend on any tapped attention.
        """
        self._sizes = self._sizes or dict(self._seen)
        self._hear = hear
        if not scalar.requires_grad:
            raise UnsupportedMethod(
                "There is no gradient to follow: the scalar depends on no attention that was tapped. "
                "Tap attention that the answer depends on, in a pass with gradients enabled."
            )
        torch.autograd.grad(scalar, self._below, retain_graph=retain, allow_unused=True)

    def _heard(
        self,
        layer: int,
        start: int,
        facts: dict[str, Any],
        names: tuple[str, ...],
        gradient: Tensor,
        tensors: tuple[Tensor, ...],
    ) -> None:
        facts = facts | dict(zip(names, tensors[1:], strict=True))
        gradients = Gradients(gradient.transpose(1, 2), tensors[0])
        if self._hear is not None:
            self._hear(layer, Block(Attention(**facts), start % self._sizes[layer], gradients))


class _Identity(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, output: Tensor, below: Tensor, heard: Callable[..., None], *tensors: Tensor) -> Any:
        ctx.save_for_backward(*tensors)
        ctx.heard = heard
        return output.view_as(output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        tensors = ctx.saved_tensors  # to be read once: a checkpoint computes them anew
        ctx.heard(gradient, tensors)
        return gradient, None, None, *[None for _ in tensors]


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

    def put(self, block: Block, into: Tensor, values: Callable[[Block, Tensor], Tensor]) -> None:
        """Fill the part of (row, head, column) that one call covers.

        Args:
            block: The call.
            into: Where to put it.
            values: Gives (1, head, row, column) for a block of one batch item and its row numbers.
        """
        count, width = block.attention.query.shape[2], block.attention.key.shape[2]
        first = block.start if count == width else 0
        for item, part in enumerate(_items(block)):
            rows, local_rows = _inside(self.rows, block.start + item * count, count)
            columns, local_columns = _inside(self.columns, first + item * width, width)
            if len(rows) and len(columns):
                found = values(part, local_rows)[0][..., local_columns].to(into.device)
                into[rows[:, None], :, columns[None, :]] = found.permute(1, 2, 0)


class ChosenRows:
    """A tap handler that keeps the attention of chosen rows of one pass.

    Args:
        rows: Tokens whose attention is wanted, int (row,).
        columns: Tokens it is wanted at, int (column,). Both are counted as in `Positions`.
    """

    def __init__(self, rows: Tensor, columns: Tensor) -> None:
        self._positions = Positions(rows, columns)
        self._seen: dict[int, int] = {}
        self._shares: dict[int, Tensor] = {}

    def __call__(self, call: AttentionCall) -> tuple[Tensor, Tensor | None]:
        """Note the wanted rows of one call, and let the kernel compute it."""
        start = self._seen.get(call.layer, 0)
        self._seen[call.layer] = start + call.query.shape[0] * call.query.shape[2]
        into = self._shares.setdefault(call.layer, _blank(self._positions, call))
        with torch.no_grad():
            self._positions.put(Block(call, start), into, _shares)
        return call.run()

    def shares(self) -> Tensor:
        """Attention, float32 (row, layer, head, column); zero where a row has no such column.

        Raises:
            UnsupportedMethod: No tapped module was called.
        """
        return _stacked(self._shares)


class GradientRows:
    """A tap handler that gives chosen rows of attention and a scalar's gradient there.

    Works in any pass with gradients enabled, at any attention the scalar depends on, also under
    checkpointing. The gradient is the whole one: a row's effect on later rows is in it.

    Args:
        rows: Tokens whose attention is wanted, int (row,).
        columns: Tokens it is wanted at, int (column,). Both are counted as in `Positions`.
    """

    def __init__(self, rows: Tensor, columns: Tensor) -> None:
        self._positions = Positions(rows, columns)
        self._tap = BackwardTap()

    def __call__(self, call: AttentionCall) -> tuple[Tensor, Tensor | None]:
        """Let the kernel compute, and stay in the path of its gradient."""
        return self._tap(call)

    def gradients(self, scalar: Tensor, *, retain: bool = False) -> tuple[Tensor, Tensor]:
        """Attention and its gradient, float32 (row, layer, head, column) each.

        Layers on which the scalar does not depend are left out. Where a row has no such column,
        both are zero.

        Args:
            scalar: Computed by the pass.
            retain: Whether the pass will be asked for another scalar.

        Raises:
            UnsupportedMethod: The scalar depends on no tapped attention.
        """
        shares: dict[int, Tensor] = {}
        gradients: dict[int, Tensor] = {}

        def hear(layer: int, block: Block) -> None:
            for found, values in ((shares, _shares), (gradients, _gradients)):
                into = found.setdefault(layer, _blank(self._positions, block.attention))
                self._positions.put(block, into, values)

        self._tap.back(scalar, hear, retain=retain)
        return _stacked(shares), _stacked(gradients)


def _shares(block: Block, rows: Tensor) -> Tensor:
    return block.attention.rows(rows)


def _gradients(block: Block, rows: Tensor) -> Tensor:
    return cast(Gradients, block.gradients).rows(rows, block.attention.key.shape[2])


def _items(block: Block) -> Iterator[Block]:
    """The items of a call's batch, each as a call of its own."""
    one, gradients = block.attention, block.gradients
    for item in range(len(one.query)):
        own = slice(item, item + 1)
        mask = one.mask if one.mask is None or len(one.mask) == 1 else one.mask[own]
        yield Block(
            replace(one, query=one.query[own], key=one.key[own], mask=mask),
            gradients=gradients and Gradients(gradients.output[own], gradients.value[own]),
        )


def _inside(positions: Tensor, start: int, count: int) -> tuple[Tensor, Tensor]:
    """Which positions lie in a range, and where in it they lie."""
    found = ((positions >= start) & (positions < start + count)).nonzero()[:, 0]
    return found, positions[found] - start


def _blank(positions: Positions, attention: Attention) -> Tensor:
    size = (len(positions.rows), attention.query.shape[1], len(positions.columns))
    return torch.zeros(size, device=positions.rows.device)


def _stacked(layers: dict[int, Tensor]) -> Tensor:
    if not layers:
        raise UnsupportedMethod(
            "Attention could not be read: the model ran without calling any tapped attention module. "
            "A compiled model does this; pass the model it was compiled from."
        )
    return torch.stack([layers[number] for number in sorted(layers)], dim=1)
