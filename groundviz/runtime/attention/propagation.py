"""Vectors over a model's tokens, carried down through its attention layers without a square map.

A model's tokens come in streams: the text of a decoder, the patches of a vision tower, the queries
of a resampler. An attention module passes what its rows hold on to its columns: in the same stream
(self-attention) or another one (cross-attention). One product of vectors with the attention of a
few rows at a time is all that is in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from groundviz.errors import UnsupportedMethod
from groundviz.runtime.attention.rows import Attention, Rows

# Rows at a time: what fits a processor's cache, and enough to keep an accelerator busy.
CHUNK = 64
ON_ACCELERATORS = 4


@dataclass(frozen=True, slots=True)
class Flow:
    """Which tokens look in an attention module, and which are looked at.

    Where there are fewer rows than the stream has tokens, they are its first ones, as the queries
    of a Q-Former come before its text.

    Attributes:
        rows: Stream of the tokens that look.
        columns: Stream of the tokens that are looked at.
        own: Whether the looking tokens themselves follow as columns, as in a perceiver.
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
    """Where the tokens of a stream went in another one: an encoder's into the text, for instance.

    Attributes:
        stream: The stream they went into.
        positions: For each token its position there, int (token,), -1 where it went nowhere.
            Tokens that were pooled into one share what it holds.
    """

    stream: str
    positions: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Gradients:
    """What the gradient of a scalar with respect to attention follows from: dO times V transposed.

    Attributes:
        output: Gradient of the scalar with respect to the attention's output (batch, head, row, channel).
        value: (batch, key head, column, channel).
    """

    output: Tensor
    value: Tensor

    def rows(self, rows: Rows, width: int) -> Tensor:
        """Gradients of some rows, float32 (batch, head, row, column), of the first `width` columns."""
        chosen, value = self.output[:, :, rows].float(), self.value[:, :, :width].float()
        batch, heads, count, channels = chosen.shape
        grouped = chosen.reshape(batch, value.shape[1], -1, channels)
        return (grouped @ value.transpose(2, 3)).view(batch, heads, count, -1)


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One call of an attention module: rows, and where the first of them stands in its stream."""

    attention: Attention
    start: int = 0
    gradients: Gradients | None = None


class Streams:
    """What each token of each stream holds, for several vectors at once.

    Args:
        starts: By stream, what its tokens hold at the top, float (vector, token).
        origins: By stream, where it comes from when the layers below it are reached.

    >>> streams = Streams({"text": torch.tensor([[0.0, 1.0]])})
    >>> uniform = Attention(query=torch.ones(1, 1, 2, 1), key=torch.ones(1, 1, 2, 1))
    >>> streams.descend(Flow(), [Block(uniform)])
    >>> streams.held["text"].tolist()
    [[0.5, 1.5]]
    """

    def __init__(self, starts: Mapping[str, Tensor], origins: Mapping[str, Origin] | None = None) -> None:
        self.held = {name: start.float().clone() for name, start in starts.items()}
        self._origins = origins or {}
        self._like = next(iter(self.held.values()))

    def descend(self, flow: Flow, blocks: Sequence[Block], *, kept: float = 1.0, passed: float = 1.0) -> None:
        """Go from behind an attention module to before it: v <- kept * v + passed * v A.

        A is the mean over heads of the attention, or of its positive products with the gradient
        where a block has gradients.

        Args:
            flow: The streams it reads and writes.
            blocks: Its calls; each token is a row of one of them at most.
            kept: What a row keeps of what it holds.
            passed: What share of it goes along its attention.

        Raises:
            UnsupportedMethod: Columns stand for tokens that are not rows, as with a cached prompt.
        """
        products = [_carried(block, self._rows(flow, block)) for block in blocks]
        for block in blocks:
            self._rows(flow, block).mul_(kept)
        for block, product in zip(blocks, products, strict=True):
            for stream, start, part in _split(flow, block, product):
                flat = part.transpose(0, 1).flatten(1).to(self._like.device)
                held = self._room(stream, start + flat.shape[1])
                held[:, start : start + flat.shape[1]].add_(flat, alpha=passed)

    def _rows(self, flow: Flow, block: Block) -> Tensor:
        """What the rows of a call hold, (batch, vector, row); to be written to, too."""
        batch, _, count, _ = block.attention.query.shape
        held = self._room(flow.rows, block.start + batch * count)
        part = held[:, block.start : block.start + batch * count]
        return part.view(-1, batch, count).transpose(0, 1)

    def _room(self, stream: str, size: int) -> Tensor:
        """What a stream holds, with room for `size` tokens."""
        held = self.held.get(stream)
        if held is None:
            held = self._from_above(stream)
        if held.shape[1] < size:
            held = torch.nn.functional.pad(held, (0, size - held.shape[1]))
        self.held[stream] = held
        return held

    def _from_above(self, stream: str) -> Tensor:
        origin = self._origins.get(stream)
        if origin is None:
            return self._like.new_zeros(len(self._like), 0)
        at = origin.positions.to(self._like.device)
        above = self._room(origin.stream, int(at.max()) + 1)
        sharing = torch.bincount(at[at >= 0], minlength=above.shape[1])[at.clamp(min=0)]
        return above[:, at.clamp(min=0)] * (at >= 0) / sharing.clamp(min=1)


def _carried(block: Block, held: Tensor) -> Tensor:
    """What rows hold (batch, vector, row), passed on to columns: (batch, vector, column)."""
    attention = replace(block.attention, key=block.attention.key.float())
    held = held.to(attention.key.device)
    gradients = block.gradients and Gradients(block.gradients.output, block.gradients.value.float())
    product = held.new_zeros(*held.shape[:2], attention.key.shape[2])
    for rows, width in _chunks(attention, held):
        weights = replace(attention, key=attention.key[:, :, :width]).rows(rows)
        if gradients is not None:
            weights.mul_(gradients.rows(rows, width)).clamp_(min=0.0)
        product[:, :, :width] += held[:, :, rows] @ weights.mean(dim=1)
    return product


def _chunks(attention: Attention, held: Tensor) -> Iterator[tuple[Rows, int]]:
    """The rows that hold anything, some at a time, and how many columns they may see."""
    filled = held.ne(0).flatten(0, 1).any(dim=0).nonzero()[:, 0].tolist()
    columns = attention.key.shape[2]
    size = CHUNK if held.device.type == "cpu" else CHUNK * ON_ACCELERATORS
    for begin in range(0, len(filled), size):
        rows = filled[begin : begin + size]
        width = min(columns, rows[-1] + 1 + attention.offset) if attention.causal else columns
        together = rows[-1] - rows[0] + 1 == len(rows)
        yield slice(rows[0], rows[-1] + 1) if together else torch.tensor(rows, device=held.device), width


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
        f"Attention cannot be followed through the layers: {count} tokens looked at {width}, and these are "
        "not the tokens up to them. Run the whole sequence in one pass, without a cache."
    )
