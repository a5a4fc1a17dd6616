"""A model for a while, whether or not this thread has borrowed it already."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from groundviz.runtime.loan.guard import Loan, borrow, loan_of


@contextmanager
def held(model: nn.Module) -> Iterator[Loan]:
    """The loan that this thread has of a model; where it has none, a new one for the block.

    Raises:
        ModelBusy, ModelChanged: As in `borrow`.
    """
    loan = loan_of(model)
    if loan is not None:
        yield loan
        return
    with borrow(model) as new:
        yield new
