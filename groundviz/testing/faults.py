"""Something goes wrong at the n-th step of some code: each n tried is one test of its clean-up.

::

    steps = count_steps(work, under=folder)
    for n in range(steps):
        strike_at(n, work, under=folder)
        ...is everything as it was?

Steps are bytecode instructions, or lines, executed by the calling thread in files under `folder`.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Literal

Every = Literal["opcode", "line"]
Fault = Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """What one attempt came to.

    Attributes:
        fired: Whether the code had that many steps.
        surfaced: Whether the fault came out of the code, rather than being swallowed by it.
        where: Function and line number of the step, for messages.
    """

    fired: bool
    surfaced: bool
    where: str


class Struck(RuntimeError):
    """An error nobody expects."""


def interrupt() -> None:
    """Raise KeyboardInterrupt on the spot, also where Python would not deliver a Ctrl-C."""
    raise KeyboardInterrupt


def fail() -> None:
    """Raise an unexpected error."""
    raise Struck("An error on purpose.")


def press_ctrl_c() -> None:
    """Send this process a real SIGINT, which goes to the handler that is installed."""
    signal.raise_signal(signal.SIGINT)


def count_steps(work: Callable[[], object], *, under: Path, every: Every = "opcode") -> int:
    """How many steps `work` takes in files under `under` (a folder, or one file).

    >>> count_steps(lambda: None, under=Path("/nowhere"))
    0
    """
    tracer = _Tracer(under, every, at=-1, fault=fail)
    _run(work, tracer)
    return tracer.steps


def strike_at(
    n: int, work: Callable[[], object], *, under: Path, fault: Fault = interrupt, every: Every = "opcode"
) -> Strike:
    """Run `work` and have `fault()` called just before its n-th step, counted from 0.

    The fault's own exception ends here, together with its traceback; any other one comes out.
    """
    tracer = _Tracer(under, every, at=n, fault=fault)
    try:
        _run(work, tracer)
    except (KeyboardInterrupt, Struck):
        return Strike(fired=tracer.fired, surfaced=True, where=tracer.where)
    return Strike(fired=tracer.fired, surfaced=False, where=tracer.where)


def _run(work: Callable[[], object], tracer: _Tracer) -> None:
    previous = sys.gettrace()
    sys.settrace(tracer)
    try:
        work()
    finally:
        sys.settrace(previous)


class _Tracer:
    """A trace function that counts steps and calls the fault at one of them."""

    def __init__(self, under: Path, every: Every, *, at: int, fault: Fault) -> None:
        self.steps = 0
        self.fired = False
        self.where = ""
        self._under = str(under)
        self._every = every
        self._at = at
        self._fault = fault

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Callable[..., Any] | None:
        if not frame.f_code.co_filename.startswith(self._under):
            return None
        frame.f_trace_opcodes = self._every == "opcode"
        return self._step

    def _step(self, frame: FrameType, event: str, arg: Any) -> Callable[..., Any]:
        if event == self._every:
            self.steps += 1
            if self.steps == self._at + 1:
                self.fired = True
                self.where = f"{frame.f_code.co_qualname}:{frame.f_lineno}"
                self._fault()
        return self._step
