"""Gradients of every answer token with respect to its own attention row, in one backward pass.

In each layer a row's path to other rows is cut: keys and values are constants except a row's own. So
the summed log-probability of all tokens has, at row r, the gradient of the token that row r predicts
and of no other, and one backward pass gives what would take one per token. The probabilities and
outputs are unchanged. Rows before the answer's are left to the model's own kernel.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from groundviz.runtime.attention.rows import probabilities, scores, weighted_values
from groundviz.runtime.attention.tap import AttentionCall


@dataclass(slots=True, eq=False)
class OwnRowAttention:
    """A tap handler that computes the last rows' attention, and remembers what gradients need.

    Attributes:
        columns: The columns to keep, int (column,): absolute positions, or columns of the image
            where a layer looks at that.
        length: Absolute position behind the last row.
        count: How many rows the answer has.
        kept: Numbers of the layers whose rows are wanted; the paths through the others are cut too.
        cross: Numbers of the layers that look at the image and not at the text.
    """

    columns: Tensor
    length: int
    count: int
    kept: Collection[int]
    cross: Collection[int] = ()
    _outputs: dict[int, Tensor] = field(default_factory=dict)
    _values: dict[int, Tensor] = field(default_factory=dict)
    _shares: dict[int, Tensor] = field(default_factory=dict)

    def __call__(self, call: AttentionCall) -> tuple[Tensor, None]:
        """Compute one layer's attention in place of the kernel, for the last rows."""
        rows = slice(call.query.shape[2] - self.count, None)
        shares, output = _across(call, rows) if call.layer in self.cross else _attend(call, rows)
        if not output.requires_grad:
            output.requires_grad_()  # The first layer is where the graph begins.
        if call.layer in self.kept:
            self._keep(call, shares, output)
        ours = output.transpose(1, 2).to(call.query.dtype)
        if rows.start == 0:
            return ours.contiguous(), None
        with torch.no_grad():
            before = call.run()[0][:, : rows.start]
        return torch.cat([before, ours], dim=1), None

    def _keep(self, call: AttentionCall, shares: Tensor, output: Tensor) -> None:
        width = call.key.shape[2]
        length = width if call.layer in self.cross else self.length
        inside, at = columns_in(width, length, self.columns.to(call.value.device))
        self._outputs[call.layer] = output
        self._values[call.layer] = call.value.detach()[:, :, at] * inside[:, None]
        self._shares[call.layer] = shares.detach()[..., at] * inside

    def gradients(self, logprobs: Tensor) -> tuple[Tensor, Tensor]:
        """Attention and its gradient, float32 (row, layer, head, column) each.

        Args:
            logprobs: Log-probability of each row's token, (row,), on this pass's graph.
        """
        layers = sorted(self._outputs)
        by_output = torch.autograd.grad(logprobs.sum(), [self._outputs[i] for i in layers])
        gradients = [_against_values(g, self._values[i]) for i, g in zip(layers, by_output, strict=True)]
        shares = [self._shares[i] for i in layers]
        return _rows_first(shares), _rows_first(gradients)


def columns_in(width: int, length: int, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Find absolute columns among the last `width` that a layer still holds.

    A sliding-window cache has dropped early columns, and where a prompt is read in parts later ones
    are still to come: they get no attention, so they read zero.

    Returns:
        bool (column,), whether the layer holds it; and its index there (any where not held).
    """
    at = columns - max(0, length - width)
    return (at >= 0) & (at < width), at.clamp(0, width - 1)


def _attend(call: AttentionCall, rows: slice) -> tuple[Tensor, Tensor]:
    """Attention of some rows (batch, head, row, column), and what they read (batch, head, row, channel)."""
    query, width = call.query[:, :, rows], call.key.shape[2]
    key, value, own = call.key.detach(), call.value.detach(), slice(width - query.shape[2], width)
    raw = scores(query, key, call.scaling)
    # Each row may still change through its own key: a zero that carries that gradient.
    groups = query.shape[1] // call.key.shape[1]
    own_key = call.key[:, :, own].float().repeat_interleave(groups, dim=1)
    through_key = (query.detach().float() * own_key).sum(-1) * call.scaling
    raw = raw + _on_diagonal(through_key - through_key.detach(), width)
    if call.mask is None:
        call = replace(call, causal=True, offset=width - call.query.shape[2])
    shares = probabilities(raw, call.visible(rows), softcap=call.softcap, sinks=call.sinks)
    own_value = call.value[:, :, own].float().repeat_interleave(groups, dim=1)
    diagonal = shares.detach()[..., own].diagonal(dim1=2, dim2=3)
    through_value = diagonal[..., None] * (own_value - own_value.detach())
    return shares, weighted_values(shares, value) + through_value


def _across(call: AttentionCall, rows: slice) -> tuple[Tensor, Tensor]:
    """As `_attend`, where no row is a column: the image is a constant."""
    raw = scores(call.query[:, :, rows], call.key.detach(), call.scaling)
    shares = probabilities(raw, call.visible(rows), softcap=call.softcap, sinks=call.sinks)
    return shares, weighted_values(shares, call.value.detach())


def _on_diagonal(numbers: Tensor, width: int) -> Tensor:
    """Put (batch, head, row) on the diagonal of the last `row` columns of (batch, head, row, width)."""
    square = torch.diag_embed(numbers)
    return torch.nn.functional.pad(square, (width - numbers.shape[-1], 0))


def _against_values(gradient: Tensor, value: Tensor) -> Tensor:
    """How the score changes with each share: gradient (b, head, row, channel) on value (b, key head, ...)."""
    groups = gradient.shape[1] // value.shape[1]
    return gradient.float() @ value.float().repeat_interleave(groups, dim=1).transpose(2, 3)


def _rows_first(layers: list[Tensor]) -> Tensor:
    """Stack (1, head, row, column) per layer, wherever that is, to (row, layer, head, column)."""
    return torch.stack([layer[0].to(layers[0].device) for layer in layers]).permute(2, 0, 1, 3)
