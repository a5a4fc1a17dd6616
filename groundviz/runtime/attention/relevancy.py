"""Chefer's relevancy of tokens for a scalar, in one backward pass and without a square matrix.

Vectors are multiplied with each layer's attention weights and their gradients in the order in which the
backward pass reaches the layers.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from groundviz.runtime.attention.backward_tap import BackwardTap
from groundviz.runtime.attention.propagation import Block, Flow, Origin, Streams
from groundviz.runtime.attention.tap import AttentionCall


class Relevancy:
    """A tap handler for one pass with gradients, which then gives relevancies of scalars.

    With A the attention of a layer and dA a scalar's gradient there, relevancy follows

        Abar = mean over heads of max(0, A * dA)                      (eq. 5)
        R <- R + Abar R          within a stream                      (eq. 6)
        R_tq <- R_tq + Abar R_qq, R_tt <- R_tt + Abar R_qt  across    (eq. 10 and 11)

    of Chefer, Gur and Wolf, "Generic Attention-model Explainability for Interpreting Bi-Modal and
    Encoder-Decoder Transformers", ICCV 2021, from the first layer to the last. R is the identity at
    first. The row normalisation before eq. 10 (eq. 8 and 9) is left out, so the rule is linear.

    Only a few rows of R are wanted. Such a row v follows from v <- v + v Abar, last layer first, which
    is the order of the backward pass. So the memory is that of a few rows, and one backward pass is
    enough.

    Works for decoders, encoder-decoders and cross-attention alike, and under checkpointing.

    Args:
        flows: For each layer number the streams that its module connects; those left out are
            self-attention of the text.
        origins: For further streams, which tokens of a higher stream their tokens became.
    """

    def __init__(
        self, flows: Mapping[int, Flow] | None = None, origins: Mapping[str, Origin] | None = None
    ) -> None:
        self._flows, self._origins = flows or {}, origins
        self._tap = BackwardTap()

    def __call__(self, call: AttentionCall) -> tuple[Tensor, Tensor | None]:
        """Let the kernel compute, and wrap its output for the backward pass."""
        return self._tap(call)

    def of(self, scalar: Tensor, starts: Mapping[str, Tensor], *, retain: bool = False) -> dict[str, Tensor]:
        """Relevancy of each token for what the starting rows predict, by stream, float32 (start, token).

        Args:
            scalar: Computed by the tapped pass.
            starts: Weights of the rows to start from, by stream, float (start, token): a one for
                the row that predicts the explained token, or a weight for each of several rows,
                whose relevancies then add up.
            retain: Whether the pass will be asked for another scalar.

        Raises:
            UnsupportedMethod: The scalar depends on no tapped attention, or the pass continued a
                cached one.
        """
        streams = Streams(starts, self._origins)

        def receive(layer: int, block: Block) -> None:
            streams.descend(self._flows.get(layer, Flow()), [block])

        self._tap.back(scalar, receive, retain=retain)
        return streams.values
