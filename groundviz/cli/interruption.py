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
    """Ctrl-C interrupts as ever; every one is in the list that is given, too.

    A library that is interrupted may raise an error of its own that says nothing of it: numpy, amid its
    import, raises an ImportError that tells the user to install it anew.
    """
    came: list[int] = []
    previous = _handler()

    def interrupt(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if previous is not None:
            previous(number, frame)

    with _handled_by(interrupt):
        yield came


@contextmanager
def held_back() -> Iterator[None]:
    """Ctrl-C is answered behind this block: a library whose C++ is interrupted may bring Python down."""
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
    """What answers Ctrl-C now, where that can be changed: in the main thread, if it is not ignored."""
    handler = signal.getsignal(signal.SIGINT)
    return handler if callable(handler) and threading.current_thread() is threading.main_thread() else None
