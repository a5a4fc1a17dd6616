"""Borrowing a model together with its processor, for one explanation."""

from __future__ import annotations

from contextlib import AbstractContextManager

from torch import nn

from groundviz.runtime.attention.tap import release
from groundviz.runtime.inputs.explainable import Explainable
from groundviz.runtime.live import Live
from groundviz.runtime.loan import guard
from groundviz.runtime.loan.preflight import refuse_unusable, watch_gradients
from groundviz.runtime.loan.progress import Progress, Tell


def borrow(vlm: Explainable, *, seed: int = 0, tell: Tell | None = None) -> AbstractContextManager[Live]:
    """Borrow the model of `vlm`: afterwards it is bit-identical to before, whatever happens inside.

    Args:
        vlm: The model with its processor.
        seed: Start of the random streams.
        tell: Called with the progress of the work, in place of bars; see `groundviz.runtime.loan.progress`.

    Raises:
        ModelBusy: On entry, when this thread is already explaining with the model.
        ModelChanged: On leaving, when another thread changed the weights meanwhile.
        UnsupportedModel: On entry, when the model cannot compute with its weights.
    """

    def hand_out(loan: guard.Loan) -> Live:
        refuse_unusable(vlm.model)
        watch_gradients(loan)
        parts = vlm.parts()
        if type(parts.output_head) is not nn.Identity:
            loan.make_contiguous(parts.output_head)
        loan.on_return(lambda: release((*parts.decoder_attention, *parts.vision_attention)))
        progress.follow(loan, (*parts.vision_layers, *parts.decoder_layers))
        return Live(vlm, loan, progress)

    progress = Progress(tell)
    # Not a generator of our own: after a Ctrl-C inside one the model would stay borrowed.
    return guard.borrow(vlm.model, seed=seed, wait=progress.wait, hand_out=hand_out)
