"""How far long work has come, told to whoever asked for it, who may end the work as Ctrl-C does."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import nn

from groundviz.runtime.loan.guard import Loan

# Called with what is being done, how many steps of it are done, and of how many; 0 of 0 where steps
# are not counted. It is called in the thread that works, often, and may raise KeyboardInterrupt.
Tell = Callable[[str, int, int], object]


class Progress:
    """What is being done now, told to one listener, again and again so that it can end the work.

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
        """Whether anybody listens."""
        return self._tell is not None

    def at(self, doing: str, done: int = 0, total: int = 0) -> None:
        """Something is being done, and has come this far."""
        self._now = (doing, done, total)
        self.still()

    def still(self, *_: object) -> None:
        """The same as before; it takes what a hook is given."""
        if self._tell is not None:
            self._tell(*self._now)

    def wait(self) -> None:
        """Another explanation has the model."""
        self.at("waiting for the model")

    def follow(self, loan: Loan, layers: Iterable[nn.Module]) -> None:
        """Tell after each pass through some layers that it goes on: one of a large model takes long, too."""
        for layer in layers if self.heard else ():
            loan.hook(layer, self.still)


UNHEARD = Progress()
