"""Reports the progress of long work to a listener, which may end the work as Ctrl-C does."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import nn

from groundviz.runtime.loan.guard import Loan

# Called with the name of the work, the number of finished steps and of all steps; 0 of 0 where steps are
# not counted. It is called often, in the thread that works, and may raise KeyboardInterrupt.
Tell = Callable[[str, int, int], object]


class Progress:
    """What is being done now, reported repeatedly to one listener, so that it can end the work.

    Args:
        tell: The listener, or None.

    >>> heard = []
    >>> progress = Progress(lambda *now: heard.append(now))
    >>> progress.at("rise", 16, 480)
    >>> progress.still()
    >>> heard
    [('rise', 16, 480), ('rise', 16, 480)]
    """

    def __init__(self, tell: Tell | None = None) -> None:
        self._tell = tell
        self._now = ("", 0, 0)

    @property
    def heard(self) -> bool:
        """Whether there is a listener."""
        return self._tell is not None

    def at(self, doing: str, done: int = 0, total: int = 0) -> None:
        """Report that work has come this far."""
        self._now = (doing, done, total)
        self.still()

    def still(self, *_: object) -> None:
        """Report the same as before; the arguments are those of a hook, and ignored."""
        if self._tell is not None:
            self._tell(*self._now)

    def wait(self) -> None:
        """Report that another explanation has the model."""
        self.at("waiting for the model")

    def follow(self, loan: Loan, layers: Iterable[nn.Module]) -> None:
        """Report after each pass through some layers: one pass of a large model takes long, too."""
        if not self.heard:
            return
        for layer in layers:
            loan.hook(layer, self.still)


UNHEARD = Progress()
