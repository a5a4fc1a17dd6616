"""Lending a model together with what is known of it, for the time of one explanation."""

from __future__ import annotations

from contextlib import AbstractContextManager

from groundviz.runtime.attention.tap import release
from groundviz.runtime.inputs.explainable import Lendable
from groundviz.runtime.live import Live
from groundviz.runtime.loan import guard
from groundviz.runtime.loan.preflight import refuse_unusable, watch_gradients
from groundviz.runtime.loan.progress import Progress, Tell


def borrow(vlm: Lendable, *, seed: int = 0, tell: Tell | None = None) -> AbstractContextManager[Live]:
    """Lend the model of `vlm`: it comes back bit-identical, whatever happens inside.

    Args:
        vlm: The model with its processor.
        seed: Start of the random streams.
        tell: Told how far the work has come, in place of bars; see `groundviz.runtime.loan.progress`.

    Raises:
        ModelBusy: On entry, when this thread is already explaining with the model.
        ModelChanged: On leaving, when another thread changed the weights meanwhile.
        UnsupportedModel: On entry, when the model's weights cannot be computed with.
    """

    def hand_out(loan: guard.Loan) -> Live:
        refuse_unusable(vlm.model)
        watch_gradients(loan)
        parts = vlm.parts()
        if not parts.unknown:
            loan.straighten(parts.output_head)
        loan.on_return(lambda: release((*parts.decoder_attention, *parts.vision_attention)))
        progress.follow(loan, (*parts.vision_layers, *parts.decoder_layers))
        return Live(vlm, loan, progress)

    progress = Progress(tell)
    # Not a generator of our own: a Ctrl-C inside one would leave the model lent.
    return guard.borrow(vlm.model, seed=seed, wait=progress.wait, hand_out=hand_out)
