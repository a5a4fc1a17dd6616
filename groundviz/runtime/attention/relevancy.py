"""Chefer relevancy without its square matrix: vectors that go down with the gradient."""

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
    Encoder-Decoder Transformers", ICCV 2021, from the first layer to the last, with R the identity
    at first. The rule is linear here: the row normalisation before eq. 10 (eq. 8 and 9) is left
    out. Rows of R are wanted only for a few tokens, v = row of R; and v <- v + v Abar from the last
    layer to the first is the order in which the gradient reaches them. So memory is that of a few
    rows, and nothing but the gradient's own pass is needed.

    Works for decoders, encoder-decoders and cross-attention alike, and under checkpointing.

    Args:
        flows: For each layer number the streams that its module connects; those left out are
            self-attention of the text.
        origins: Where further streams come from, see `Origin`.
    """

    def __init__(
        self, flows: Mapping[int, Flow] | None = None, origins: Mapping[str, Origin] | None = None
    ) -> None:
        self._flows, self._origins = flows or {}, origins
        self._tap = BackwardTap()

    def __call__(self, call: AttentionCall) -> tuple[Tensor, Tensor | None]:
        """Let the kernel compute, and stay in the path of its gradient."""
        return self._tap(call)

    def of(self, scalar: Tensor, starts: Mapping[str, Tensor], *, retain: bool = False) -> dict[str, Tensor]:
        """Relevancy of each token for what starting rows say, by stream, float32 (start, token).

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

        def hear(layer: int, block: Block) -> None:
            streams.descend(self._flows.get(layer, Flow()), [block])

        self._tap.back(scalar, hear, retain=retain)
        return streams.held
