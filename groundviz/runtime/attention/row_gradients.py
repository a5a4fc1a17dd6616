"""Gradients of every answer token with respect to its own attention weights, in one backward pass.

Attention weights of row r change the log-probability of the token that row r predicts. Through the keys
and values of row r they also change later rows. Here that second path is cut: in each layer keys and
values are constants, except that a row still depends on its own key and value. The summed
log-probability of all answer tokens then has, at row r, the gradient of row r's token alone. So one
backward pass gives what would otherwise take one vector-Jacobian product per token.

The attention weights and the outputs of the pass are unchanged. Rows before the answer are computed by
the model's own kernel.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from groundviz.runtime.attention.propagation import Gradients
from groundviz.runtime.attention.rows import probabilities, scores, weighted_values
from groundviz.runtime.attention.tap import AttentionCall


@dataclass(slots=True, eq=False)
class OwnRowAttention:
    """A tap handler that computes the attention of the answer's rows and keeps what gradients need.

    Attributes:
        columns: The columns to keep, int (column,): positions in the text, or image columns where a
            layer attends to the image through cross-attention.
        length: How many tokens there are up to and with the last row.
        count: How many rows the answer has.
        kept: Numbers of the layers whose rows are wanted. The paths through all other layers are cut
            too.
        cross: Numbers of the cross-attention layers.
    """

    columns: Tensor
    length: int
    count: int
    kept: Collection[int]
    cross: Collection[int] = ()
    _outputs: dict[int, Tensor] = field(default_factory=dict)
    _values: dict[int, Tensor] = field(default_factory=dict)
    _weights: dict[int, Tensor] = field(default_factory=dict)

    def __call__(self, call: AttentionCall) -> tuple[Tensor, None]:
        """Compute the answer's rows of one layer in place of the kernel."""
        first = call.query.shape[2] - self.count
        rows = slice(first, None)
        if call.layer in self.cross:
            weights, output = _cross_attention(call, rows)
        else:
            weights, output = _self_attention(call, rows)
        if not output.requires_grad:
            # In the first layer nothing requires a gradient yet: the graph begins here.
            output.requires_grad_()
        if call.layer in self.kept:
            self._keep(call, weights, output)
        answer_rows = output.transpose(1, 2).to(call.query.dtype)
        if first == 0:
            return answer_rows.contiguous(), None
        with torch.no_grad():
            kernel_output, _ = call.run()
        return torch.cat([kernel_output[:, :first], answer_rows], dim=1), None

    def _keep(self, call: AttentionCall, weights: Tensor, output: Tensor) -> None:
        """Keep one layer's output, and its weights and values at the wanted columns."""
        width = call.key.shape[2]
        # In cross-attention every column is there from the beginning.
        length = width if call.layer in self.cross else self.length
        inside, index = columns_in(width, length, self.columns.to(call.value.device))
        self._outputs[call.layer] = output
        value, weights = call.value.detach(), weights.detach()
        stretch = as_slice(index.tolist())
        if stretch is not None and inside.all():
            # The common case: an image is one stretch of columns, which is read in place.
            self._values[call.layer] = value[:, :, stretch]
            self._weights[call.layer] = weights[..., stretch]
            return
        self._values[call.layer] = value[:, :, index] * inside[:, None]
        self._weights[call.layer] = weights[..., index] * inside

    def gradients(self, logprobs: Tensor) -> tuple[Tensor, Tensor]:
        """Attention weights and their gradients, float32 (row, layer, head, column) each.

        Args:
            logprobs: Log-probability of each row's token, (row,), on this pass's graph.
        """
        layers = sorted(self._outputs)
        outputs = [self._outputs[layer] for layer in layers]
        output_gradients = torch.autograd.grad(logprobs.sum(), outputs)
        weights, gradients = [], []
        for layer, output_gradient in zip(layers, output_gradients, strict=True):
            weights.append(self._weights[layer])
            # output = weights @ value, so the gradient of the weights is dO times V transposed.
            factors = Gradients(output_gradient, self._values[layer])
            gradients.append(factors.rows(slice(None), self._values[layer].shape[2]))
        return _rows_first(weights), _rows_first(gradients)


def as_slice(numbers: list[int]) -> slice | None:
    """Consecutive numbers as a slice, which needs no copy; None where they are not consecutive."""
    if numbers and numbers == list(range(numbers[0], numbers[0] + len(numbers))):
        return slice(numbers[0], numbers[-1] + 1)
    return None


def columns_in(width: int, length: int, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Find text positions among the columns of a layer's KV cache.

    A sliding-window cache has dropped early columns. Where a prompt is read in parts, later columns are
    still to come. Neither gets any attention.

    Args:
        width: How many columns the layer holds: the last ones.
        length: How many tokens have been read.
        columns: Positions in the text, int (column,).

    Returns:
        bool (column,), whether the layer holds the column; and its index there (any where not held).
    """
    index = columns - max(0, length - width)
    inside = (index >= 0) & (index < width)
    return inside, index.clamp(0, width - 1)


def _self_attention(call: AttentionCall, rows: slice) -> tuple[Tensor, Tensor]:
    """Weights (batch, head, row, column) and output (batch, head, row, channel) of some rows.

    Both depend on the rows' queries, and on a row's own key and value, but on no other key and value.
    """
    query = call.query[:, :, rows]
    count, width = query.shape[2], call.key.shape[2]
    own = slice(width - count, width)
    query_heads_per_key_head = query.shape[1] // call.key.shape[1]
    raw = scores(query, call.key.detach(), call.scaling)

    # A zero that carries the gradient of each row's score through its own key.
    own_key = call.key[:, :, own].float().repeat_interleave(query_heads_per_key_head, dim=1)
    own_score = (query.detach().float() * own_key).sum(-1) * call.scaling
    zero = torch.diag_embed(own_score - own_score.detach())
    raw, own_columns = raw[..., : width - count], raw[..., own] + zero

    if call.mask is None:
        call = replace(call, causal=True, offset=width - call.query.shape[2])
    if call.plainly_causal:
        # Earlier columns are visible to all rows, so only the rows' own need a mask.
        later = torch.ones(count, count, dtype=torch.bool, device=raw.device).triu(1)
        own_columns = own_columns.masked_fill(later, -torch.inf)
        weights = torch.softmax(torch.cat([raw, own_columns], dim=-1), dim=-1)
    else:
        raw = torch.cat([raw, own_columns], dim=-1)
        weights = probabilities(raw, call.visible(rows), softcap=call.softcap, sinks=call.sinks)

    # A zero that carries the gradient of each row's output through its own value.
    own_value = call.value[:, :, own].float().repeat_interleave(query_heads_per_key_head, dim=1)
    own_weight = weights.detach()[..., own].diagonal(dim1=2, dim2=3)
    through_value = own_weight[..., None] * (own_value - own_value.detach())
    return weights, weighted_values(weights, call.value.detach()) + through_value


def _cross_attention(call: AttentionCall, rows: slice) -> tuple[Tensor, Tensor]:
    """The same where columns are image tokens: all keys and values are constants."""
    raw = scores(call.query[:, :, rows], call.key.detach(), call.scaling)
    weights = probabilities(raw, call.visible(rows), softcap=call.softcap, sinks=call.sinks)
    return weights, weighted_values(weights, call.value.detach())


def _rows_first(layers: list[Tensor]) -> Tensor:
    """Stack (1, head, row, column) of each layer to (row, layer, head, column), on the first device."""
    device, heads = layers[0].device, max(layer.shape[1] for layer in layers)
    return torch.stack([for_heads(layer[0].to(device), heads) for layer in layers]).permute(2, 0, 1, 3)


def for_heads(rows: Tensor, heads: int) -> Tensor:
    """Rows (head, ...) of a layer with fewer heads than others, each repeated: means over heads stay.

    >>> for_heads(torch.tensor([[1.0], [3.0]]), 4).flatten().tolist()
    [1.0, 1.0, 3.0, 3.0]
    """
    return rows.repeat_interleave(heads // rows.shape[0], dim=0)
