"""Something goes wrong at the n-th step of some code: each n tried is one test of its clean-up.

::

    for n in range(count_steps(work, under=folder)):
        strike_at(n, work, under=folder)
        ...is everything as it was?

Steps are taken by the calling thread in files under `folder`, and are of one of these kinds:

- "opcode": before each bytecode instruction, the strictest: also where nothing can go wrong.
- "line": before each line.
- "call": at the entry of each function.
- "signal": where Python itself would deliver a Ctrl-C: at the entry of a function, after a call
  has returned and at the end of a loop's turn.
"""

from __future__ import annotations

import dis
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Literal

Every = Literal["opcode", "line", "call", "signal"]
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

    It may end in KeyboardInterrupt or in `Struck`: that counts as its own first fault.

    >>> count_steps(lambda: None, under=Path("/nowhere"))
    0
    """
    tracer = _Tracer(under, every, at=-1, fault=fail)
    with suppress(KeyboardInterrupt, Struck):
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
    # From Python 3.12 on, instructions are reported only if the frame that begins tracing asks for it.
    sys._getframe().f_trace_opcodes = True
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
        if self._every in ("call", "signal"):
            self._step(frame)
        if self._every == "call":
            return None
        frame.f_trace = _Frame(self._step, self._every)
        frame.f_trace_opcodes = self._every != "line"
        return frame.f_trace

    def _step(self, frame: FrameType) -> None:
        self.steps += 1
        if self.steps == self._at + 1:
            self.fired = True
            self.where = f"{frame.f_code.co_qualname}:{frame.f_lineno}"
            self._fault()


class _Frame:
    """The trace function of one running function."""

    def __init__(self, step: Callable[[FrameType], None], every: Every) -> None:
        self._step = step
        self._every = every
        self._last: int | None = None

    def __call__(self, frame: FrameType, event: str, arg: Any) -> _Frame:
        last, now = self._last, frame.f_lasti
        if event == "opcode":
            self._last = now
        if self._every == "signal":
            if event == "opcode" and last is not None and now in _after(frame.f_code, last):
                self._step(frame)
        elif event == self._every:
            self._step(frame)
        return self


@cache
def _after(code: CodeType, last: int) -> range:
    """Offsets at which an error is caught as a Ctrl-C that the instruction at `last` delivers.

    Python delivers Ctrl-C inside an instruction. An error at a later instruction stands for it if the same
    exception handlers cover both; the range holds the offsets that they cover.
    """
    if not dis.opname[code.co_code[last]].startswith(("CALL", "JUMP_BACKWARD")):
        return range(0)
    bounds = [0, len(code.co_code)]
    for entry in dis.Bytecode(code).exception_entries:  # type: ignore[attr-defined]
        bounds += [entry.start, entry.end]
    start = max(bound for bound in bounds if bound <= last)
    stop = min(bound for bound in bounds if bound > last)
    return range(start, stop)
