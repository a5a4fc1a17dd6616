"""Products of vectors with the attention weights of a model's layers, last layer first.

Attention rollout and relevancy multiply the attention maps of all layers. Only a few rows of the product
are wanted. So a few vectors are multiplied with one layer's attention after another, and the weights are
computed for a few rows at a time: no (row, column) map of a whole layer is ever in memory.

A model's tokens come in streams: the text of a decoder, the patches of a vision tower, the queries of a
resampler. Attention takes the vectors from its rows to its columns, which are tokens of the same stream
(self-attention) or of another one (cross-attention).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from groundviz.errors import UnsupportedMethod
from groundviz.runtime.attention.rows import Attention, Rows, Workspace, scores

# Rows at a time: what fits a processor's cache, and enough to keep an accelerator busy.
CHUNK = 64
ON_ACCELERATORS = 4


@dataclass(frozen=True, slots=True)
class Flow:
    """Which tokens attend in an attention module (the rows), and which they attend to (the columns).

    Where there are fewer rows than the stream has tokens, they are its first ones, as the queries
    of a Q-Former come before its text.

    Attributes:
        rows: Stream of the row tokens.
        columns: Stream of the column tokens.
        own: Whether the row tokens themselves follow as further columns, as in a perceiver.
    """

    rows: str = "text"
    columns: str = "text"
    own: bool = False

    @property
    def within(self) -> bool:
        """Whether the module is self-attention."""
        return self.rows == self.columns


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """Which tokens of a higher stream the tokens of a stream became: an encoder's became image tokens.

    Attributes:
        stream: The higher stream.
        positions: For each token its position there, int (token,), -1 where it became none.
            Tokens that were pooled into one share its value equally.
    """

    stream: str
    positions: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Gradients:
    """The two factors of a scalar's gradient with respect to attention weights: dO times V transposed.

    Attributes:
        output: Gradient of the scalar with respect to the attention's output (batch, head, row, channel).
        value: (batch, key head, column, channel).
    """

    output: Tensor
    value: Tensor

    def rows(self, rows: Rows, width: int, workspace: Workspace | None = None) -> Tensor:
        """Gradients of some rows, float32 (batch, head, row, column), of the first `width` columns.

        With a workspace they are computed there, without gradients of their own, and the next overwrite them.
        """
        # The product of attention scores, with dO as the queries and V as the keys.
        return scores(self.output[:, :, rows], self.value[:, :, :width], 1.0, workspace)


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One call of an attention module: its rows, and the position of the first one in its stream."""

    attention: Attention
    start: int = 0
    gradients: Gradients | None = None


class Streams:
    """One value for each token of each stream, for several vectors at once.

    Args:
        starts: By stream, the values above the last layer, float (vector, token).
        origins: By stream, which tokens of a higher stream its tokens became.

    >>> streams = Streams({"text": torch.tensor([[0.0, 1.0]])})
    >>> uniform = Attention(query=torch.ones(1, 1, 2, 1), key=torch.ones(1, 1, 2, 1))
    >>> streams.descend(Flow(), [Block(uniform)])
    >>> streams.values["text"].tolist()
    [[0.5, 1.5]]
    """

    def __init__(self, starts: Mapping[str, Tensor], origins: Mapping[str, Origin] | None = None) -> None:
        self.values = {name: start.float().clone() for name, start in starts.items()}
        self._origins = origins or {}
        # The number of vectors, their device and their dtype, for streams that are reached later.
        self._like = next(iter(self.values.values()))

    def descend(self, flow: Flow, blocks: Sequence[Block], *, kept: float = 1.0, passed: float = 1.0) -> None:
        """Go from the output of an attention module to its input: v <- kept * v + passed * v A.

        A is the mean over heads of the attention weights. Where a block has gradients, it is the mean
        of the positive products of weight and gradient.

        Args:
            flow: The streams of the module's rows and columns.
            blocks: Its calls; each token is a row of one of them at most.
            kept: Factor of the part that stays at its token (the residual connection).
            passed: Factor of the part that goes along the attention.

        Raises:
            UnsupportedMethod: Columns stand for tokens that are not rows, as with a cached prompt.
        """
        # All products come first: they need the rows as they were above this module.
        products = [_times_attention(block, self._rows(flow, block)) for block in blocks]
        for block in blocks:
            self._rows(flow, block).mul_(kept)
        for block, product in zip(blocks, products, strict=True):
            for stream, start, part in _split(flow, block, product):
                added = part.transpose(0, 1).flatten(1).to(self._like.device)
                end = start + added.shape[1]
                values = self._with_room(stream, end)
                values[:, start:end].add_(added, alpha=passed)

    def _rows(self, flow: Flow, block: Block) -> Tensor:
        """The values of a call's rows, (batch, vector, row): a view, to be written to as well."""
        batch, _, count, _ = block.attention.query.shape
        end = block.start + batch * count
        values = self._with_room(flow.rows, end)
        return values[:, block.start : end].view(-1, batch, count).transpose(0, 1)

    def _with_room(self, stream: str, size: int) -> Tensor:
        """The values of a stream, extended with zeros to at least `size` tokens."""
        values = self.values.get(stream)
        if values is None:
            values = self._from_above(stream)
        missing = size - values.shape[1]
        if missing > 0:
            values = torch.nn.functional.pad(values, (0, missing))
        self.values[stream] = values
        return values

    def _from_above(self, stream: str) -> Tensor:
        """The first values of a stream: those of the higher stream's tokens that its tokens became."""
        origin = self._origins.get(stream)
        if origin is None:
            return self._like.new_zeros(len(self._like), 0)
        positions = origin.positions.to(self._like.device)
        above = self._with_room(origin.stream, int(positions.max()) + 1)
        found = positions >= 0
        index = positions.clamp(min=0)
        tokens_per_position = torch.bincount(positions[found], minlength=above.shape[1])
        sharing = tokens_per_position[index].clamp(min=1)
        return above[:, index] * found / sharing


def _times_attention(block: Block, values: Tensor) -> Tensor:
    """The values of rows (batch, vector, row) times A: (batch, vector, column)."""
    attention = replace(block.attention, key=block.attention.key.float())
    values = values.to(attention.key.device)
    gradients = block.gradients
    if gradients is not None:
        gradients = replace(gradients, value=gradients.value.float())
    product = values.new_zeros(*values.shape[:2], attention.key.shape[2])
    # Large enough for the widest rows, which come last.
    widest = CHUNK * attention.query[:, :, 0, 0].numel() * attention.key.shape[2]
    for_weights, for_gradients = Workspace(widest), Workspace(widest if gradients else 0)
    for rows, width in _chunks(attention, values):
        weights = replace(attention, key=attention.key[:, :, :width]).rows(rows, for_weights)
        if gradients is not None:
            weights.mul_(gradients.rows(rows, width, for_gradients)).clamp_(min=0.0)
        product[:, :, :width] += values[:, :, rows] @ weights.mean(dim=1)
    return product


def _chunks(attention: Attention, values: Tensor) -> Iterator[tuple[Rows, int]]:
    """The rows whose values are not all zero, some at a time, and how many columns they may see."""
    filled = values.ne(0).flatten(0, 1).any(dim=0).nonzero()[:, 0].tolist()
    columns = attention.key.shape[2]
    size = CHUNK
    if values.device.type != "cpu":
        size = CHUNK * ON_ACCELERATORS
    for begin in range(0, len(filled), size):
        rows = filled[begin : begin + size]
        width = columns
        if attention.causal:
            width = min(columns, rows[-1] + 1 + attention.offset)
        # A slice reads the queries in place; an index copies them.
        chosen: Rows = slice(rows[0], rows[-1] + 1)
        if rows[-1] - rows[0] + 1 != len(rows):
            chosen = torch.tensor(rows, device=values.device)
        yield chosen, width


def _split(flow: Flow, block: Block, product: Tensor) -> list[tuple[str, int, Tensor]]:
    """Parts of (batch, vector, column) by the stream and position they belong to."""
    batch, _, count, _ = block.attention.query.shape
    width = product.shape[2]
    if flow.own:
        others = width - count
        return [
            (flow.columns, block.start // count * others, product[:, :, :others]),
            (flow.rows, block.start, product[:, :, others:]),
        ]
    if not flow.within or (batch == 1 and width == block.start + count):
        return [(flow.columns, 0, product)]
    if count == width:
        return [(flow.columns, block.start, product)]
    raise UnsupportedMethod(
        f"Attention cannot be followed through the layers: {count} tokens attended to {width}, and these "
        "are not the tokens up to them. Run the whole sequence in one pass, without a cache."
    )
