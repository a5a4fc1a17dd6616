"""Attention rollout without a square matrix: vectors times attention weights, last layer first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

import torch
from torch import Tensor

from groundviz.errors import UnsupportedMethod
from groundviz.runtime.attention.propagation import Block, Flow, Origin, Streams
from groundviz.runtime.attention.rows import Attention
from groundviz.runtime.attention.tap import AttentionCall


@dataclass(slots=True, eq=False)
class _Layer:
    """The calls of one layer, in order."""

    flow: Flow
    blocks: list[Block] = field(default_factory=list)
    seen: int = 0


class Rollout:
    """A tap handler that keeps each layer's queries and keys, and then gives attention rollout.

    Per layer R <- (A / 2 + I / 2) R with A the mean over heads of the attention weights (Abnar and
    Zuidema, "Quantifying Attention Flow in Transformers", ACL 2020, section 3). A row v of R follows
    from v <- v / 2 + v A / 2, last layer first. No gradient is needed. In cross-attention the text
    keeps one half, and the other half goes to the tokens it attended to. Rows may come in one pass or
    token by token, as long as the KV cache keeps every key.

    Memory: the queries of all rows and layers, and one key per layer, which a cache holds anyway.

    Args:
        flows: For each layer number the streams that its module connects; those left out are
            self-attention of the text.
        origins: For further streams, which tokens of a higher stream their tokens became.
    """

    def __init__(
        self, flows: Mapping[int, Flow] | None = None, origins: Mapping[str, Origin] | None = None
    ) -> None:
        self._flows, self._origins = flows or {}, origins
        self._layers: dict[int, _Layer] = {}

    def __call__(self, call: AttentionCall) -> tuple[Tensor, Tensor | None]:
        """Keep one call's queries and keys, and let the kernel compute it."""
        layer = self._layers.setdefault(call.layer, _Layer(self._flows.get(call.layer, Flow())))
        # Without the call's value and kernel, which rollout does not need.
        attention = Attention(**{part.name: getattr(call, part.name) for part in fields(Attention)})
        layer.blocks.append(Block(attention, layer.seen))
        layer.seen += call.query.shape[0] * call.query.shape[2]
        if layer.flow.within and len(layer.blocks) > 1 and call.key.shape[2] == layer.seen:
            _share_key(layer)
        return call.run()

    def of(self, starts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """How much of each starting row came from each token, by stream, float32 (start, token).

        Args:
            starts: Weights of the rows to start from, by stream, float (start, token).

        Raises:
            UnsupportedMethod: No tapped module was called, or the cache dropped some keys.
        """
        if not self._layers:
            raise UnsupportedMethod(
                "Attention could not be read: the model ran without calling any tapped attention module. "
                "A compiled model does this; pass the model it was compiled from."
            )
        streams = Streams(starts, self._origins)
        with torch.no_grad():
            for layer in reversed(self._layers.values()):
                streams.descend(layer.flow, layer.blocks, kept=0.5, passed=0.5)
        return streams.values


def _share_key(layer: _Layer) -> None:
    """Let the previous call use the latest key, which begins with its own, so that one is kept."""
    previous, latest = layer.blocks[-2:]
    key = latest.attention.key[:, :, : previous.attention.key.shape[2]]
    layer.blocks[-2] = replace(previous, attention=replace(previous.attention, key=key))
