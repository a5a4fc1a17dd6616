"""Ctrl-C during a command: remembered, and held back where Python could not bear it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any]


@contextmanager
def remembered() -> Iterator[list[int]]:
    """Ctrl-C interrupts as usual, and each one is recorded in the list that the block gets.

    An interrupted library may raise an error that does not mention it. If numpy is interrupted while it is
    imported, it raises an ImportError that tells the user to install it again.
    """
    came: list[int] = []
    # Python's own handler, or the one that a caller of `main` has set.
    previous = _handler()

    def interrupt(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if previous is not None:
            previous(number, frame)

    with _handled_by(interrupt):
        yield came


@contextmanager
def held_back() -> Iterator[None]:
    """Ctrl-C waits until this block ends: a library whose C++ is interrupted may crash Python."""
    came: list[int] = []
    previous = _handler()
    with _handled_by(lambda number, _: came.append(number)):
        yield
    if came and previous is not None:
        previous(came[0], None)


@contextmanager
def _handled_by(handler: Handler) -> Iterator[None]:
    previous = _handler()
    if previous is None:
        yield
        return
    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _handler() -> Handler | None:
    """The handler of Ctrl-C, if it can be replaced; else None."""
    # Python allows that in the main thread alone. A handler that is no function means Ctrl-C is ignored.
    handler = signal.getsignal(signal.SIGINT)
    if callable(handler) and threading.current_thread() is threading.main_thread():
        return handler
    return None
