"""Work on a borrowed model that is repeated when another thread changes the weights meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from groundviz.runtime.loan.guard import Loan

T = TypeVar("T")
ATTEMPTS = 3


def steadily(loan: Loan, work: Callable[[], T]) -> T:
    """The result of `work()`, repeated with the same random numbers if the weights changed meanwhile.

    A training step that is under way when the model is borrowed changes the weights once more, and may
    make a pass fail. The next step waits. So the second time usually suffices.

    Raises:
        ModelChanged: When the model is given back, if the weights changed each time.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            found = work()
        except Exception:
            # An error that a change of the weights explains is no error of the work.
            if not loan.disturbed:
                raise
        else:
            if not loan.disturbed:
                return found
        loan.start_again()
    return work()
