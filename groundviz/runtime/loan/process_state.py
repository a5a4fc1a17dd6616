"""Random streams, torch's modes and Ctrl-C, which a loan changes and restores.

Each of the three classes is taken once and put back any number of times. Putting back reads the present
state instead of trusting what was done before, so it is right after an interruption anywhere.
"""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

import numpy as np
import torch

PAUSE_SECONDS = 0.002


class ProcessState:
    """Random streams seeded and the default dtype float32, until both are put back.

    They belong to the process, not to one thread. When loans of several threads overlap, the one that
    ends first passes the state it found to the next, and the last one restores it.

    Args:
        active: The states taken now, oldest first; shared by all loans of the process.
        turn: Contains the state that is being taken or put back; shared likewise.
    """

    def __init__(self, active: list[ProcessState], turn: dict[str, ProcessState]) -> None:
        self._active = active
        self._turn = turn
        self._found: _Found | None = None

    def take(self, seed: int) -> None:
        """Remember the streams and the default dtype, then set them."""
        self._wait_for_turn()
        self._found = _Found.now()
        self._active.append(self)
        seed_streams(seed)
        torch.set_default_dtype(torch.float32)
        self._end_turn()

    def put_back(self) -> None:
        """Restore the state, or leave that to the loan that took its state after this one."""
        self._wait_for_turn()
        if self in self._active:
            later = self._active[self._active.index(self) + 1 :]
            if later:
                later[0]._found = self._found
            elif self._found is not None:
                self._found.set()
            self._active.remove(self)
        self._end_turn()

    def forget(self) -> None:
        """Do not restore the state: the program has gone on with the present one."""
        if self in self._active:
            self._active.remove(self)
        self._end_turn()

    def _wait_for_turn(self) -> None:
        # setdefault is atomic: no interrupt falls between taking a turn and knowing that it was taken,
        # as it can with a lock. Asking again does no harm.
        while self._turn.setdefault("of", self) is not self:
            time.sleep(PAUSE_SECONDS)

    def _end_turn(self) -> None:
        if self._turn.get("of") is self:
            del self._turn["of"]


@dataclass(frozen=True, slots=True)
class _Found:
    python: Any
    numpy: Any
    torch_cpu: torch.Tensor
    torch_cuda: list[torch.Tensor]
    dtype: torch.dtype

    @classmethod
    def now(cls) -> _Found:
        cuda: list[torch.Tensor] = []
        # Reading the state of a GPU that is not in use yet would initialise it.
        if torch.cuda.is_initialized():
            cuda = torch.cuda.get_rng_state_all()
        return cls(
            random.getstate(),
            np.random.get_state(),
            torch.default_generator.get_state(),
            cuda,
            torch.get_default_dtype(),
        )

    def set(self) -> None:
        random.setstate(self.python)
        np.random.set_state(self.numpy)
        torch.default_generator.set_state(self.torch_cpu)
        if self.torch_cuda:
            torch.cuda.set_rng_state_all(self.torch_cuda)
        torch.set_default_dtype(self.dtype)


def seed_streams(seed: int) -> None:
    """Start Python's, numpy's and torch's random streams at a seed."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)
    # torch.manual_seed would also queue a seed for a GPU that the user initialises later.
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)


@contextmanager
def own_streams(seed: int) -> Iterator[None]:
    """Python's, numpy's and torch's random streams at a seed, for code that draws from no other ones.

    They are put back afterwards, so that whoever draws next gets what it would have got.
    """
    found = _Found.now()
    seed_streams(seed)
    try:
        yield
    finally:
        found.set()


class TorchModes:
    """Gradients on, inference mode and autocast off, factories on the CPU, in this thread."""

    def __init__(self) -> None:
        self._was: _Modes | None = None
        self._no_inference = torch.inference_mode(False)
        self._home = torch.device("cpu")

    def take(self, device_types: Collection[str]) -> None:
        """Remember this thread's modes, then set them.

        Args:
            device_types: Where the model lives, such as "cuda"; autocast is switched off there.
        """
        self._was = _Modes.now({"cpu", "cuda", *device_types})
        if self._was.inference:
            self._no_inference.__enter__()
        torch.set_grad_enabled(True)
        for device_type in self._was.autocast:
            torch.set_autocast_enabled(device_type, False)
        # Only where it is needed: a device context makes every torch call slower.
        if self._was.device != self._home:
            self._home.__enter__()

    def put_back(self) -> None:
        """Set the modes this thread had."""
        if self._was is None:
            return
        if self._was.device != torch.get_default_device():
            self._home.__exit__(None, None, None)
        for device_type in self._was.autocast:
            torch.set_autocast_enabled(device_type, True)
        if self._was.inference and not torch.is_inference_mode_enabled():
            self._no_inference.__exit__(None, None, None)
        torch.set_grad_enabled(self._was.grad)
        self._was = None


@dataclass(frozen=True, slots=True)
class _Modes:
    grad: bool
    inference: bool
    autocast: tuple[str, ...]
    device: torch.device

    @classmethod
    def now(cls, device_types: Collection[str]) -> _Modes:
        with_autocast = filter(torch.amp.is_autocast_available, sorted(device_types))
        return cls(
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            tuple(filter(torch.is_autocast_enabled, with_autocast)),
            torch.get_default_device(),
        )


class CtrlC:
    """Delays Ctrl-C while the guard itself works, and lets it through while the caller works.

    Python runs signal handlers in the main thread only, so this does nothing elsewhere.

    Args:
        never_inside: Functions that Ctrl-C must not interrupt, not even before their first line.
    """

    def __init__(self, never_inside: Collection[CodeType]) -> None:
        self._never_inside = never_inside
        self._previous: Callable[[int, FrameType | None], Any] | None = None
        self._closed = True
        self._pressed = False

    def hold(self) -> None:
        """Delay Ctrl-C from now on."""
        previous = signal.getsignal(signal.SIGINT)
        if _in_main_thread() and callable(previous):
            self._previous = previous
            signal.signal(signal.SIGINT, self)

    def let_through(self) -> None:
        """Let Ctrl-C through from now on; a delayed one comes at once."""
        self._closed = False
        self._deliver()

    def put_back(self) -> None:
        """Restore the previous handler; a delayed Ctrl-C goes to it at once.

        Outside the main thread handlers cannot be set. There this handler stays, and only passes signals
        on.
        """
        self._closed = False
        installed: object = signal.getsignal(signal.SIGINT)
        if installed is self and _in_main_thread():
            signal.signal(signal.SIGINT, self._previous)
        self._deliver()

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        """Handle SIGINT."""
        if self._closed or self._is_inside(frame):
            self._pressed = True
        elif self._previous is not None:
            self._previous(signum, frame)

    def _is_inside(self, frame: FrameType | None) -> bool:
        while frame is not None and frame.f_code not in self._never_inside:
            frame = frame.f_back
        return frame is not None

    def _deliver(self) -> None:
        if self._pressed and self._previous is not None and _in_main_thread():
            self._pressed = False
            self._previous(signal.SIGINT, None)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def attempt(undo: Callable[[], object]) -> list[Exception]:
    """Undo something, a second time if it fails; what failed."""
    failures: list[Exception] = []
    for _ in range(2):
        try:
            undo()
        except Exception as failure:
            failures.append(failure)
        else:
            break
    return failures
