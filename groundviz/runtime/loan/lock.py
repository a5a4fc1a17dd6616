"""A borrowed model is the borrower's alone: calls of other threads wait at a gate until it is back.

While a gate is closed, every module of the model has its forward pass, and whatever else changes a
module or hands out its parameters, replaced by a function of the same name. The borrowing thread
passes through it; other threads wait there, and then call what is there by then. So nobody ever sees
a model that is half borrowed, and nothing that the borrower does is done to somebody else's call.

A call that began before the gate was closed is waited for. It is found on the stacks of the other
threads, so that a model that nobody explains carries nothing at all.
"""

from __future__ import annotations

import copy
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from types import CodeType, FrameType
from typing import Any, NoReturn

import torch
from torch import nn

from groundviz.errors import ModelBusy
from groundviz.runtime.loan.process_state import PAUSE_SECONDS

Wait = bool | Callable[[], object]

# What other threads call on a module that they share: they run it, set its mode, go through its
# parameters (`parameters`, `zero_grad`, ... all begin with `named_modules`), move it, fill it, hook it.
SHARED = (
    "forward",
    "train",
    "named_modules",
    "_apply",
    "load_state_dict",
    "register_forward_hook",
    "register_forward_pre_hook",
    "register_full_backward_hook",
)
_CALL = nn.Module._call_impl.__code__
_ANSWERABLE = "groundviz thread"


class Borrower:
    """The thread that last called `take`, and torch's own threads while they work for it.

    On an accelerator torch computes gradients in threads of its own, with the thread-local objects of the
    thread that asked for them; one of these says for whom.
    """

    def __init__(self) -> None:
        self.thread = 0  # No thread has this number.

    def take(self) -> None:
        """Make this thread the borrower."""
        self.thread = threading.get_ident()
        # The number of the thread itself, so nothing has to be taken back.
        torch._C._stash_obj_in_tls(_ANSWERABLE, self.thread)

    def calls(self) -> bool:
        """Whether the code that asks this runs for the borrower."""
        if threading.get_ident() == self.thread:
            return True
        return torch._C._is_key_in_tls(_ANSWERABLE) and torch._C._get_obj_in_tls(_ANSWERABLE) == self.thread


class Gate:
    """Keeps everybody but one borrower out of some modules, from `close` to `open`.

    Args:
        borrower: Who may pass.
        rescue: Called again and again by those who wait; gives the model back if nobody else will.
    """

    def __init__(self, borrower: Borrower, rescue: Callable[[], object]) -> None:
        self.borrower = borrower
        # Not to keep a model alive that nobody has any more.
        self._rescue = weakref.WeakMethod(rescue)
        self._modules: Mapping[int, nn.Module] = {}
        self._found: list[tuple[nn.Module, str, dict[str, Any]]] = []
        self._shut = False

    def close(self, modules: Iterable[nn.Module], wait: Wait) -> None:
        """Have calls of other threads wait from now on, once those under way have ended.

        Args:
            modules: All parts of the model.
            wait: Whether to wait for calls that are under way; or what to call while waiting.

        Raises:
            ModelBusy: Another thread is running the model, and `wait` is false.
        """
        self._modules = {id(module): module for module in modules}
        for module in self._modules.values():
            self._put_up(module)
        # Twice: a stack that unwinds while it is read may look shorter than it is.
        quiet = 0
        while quiet < 2:
            if not self._is_used():
                quiet += 1
                time.sleep(0)
                continue
            quiet = 0
            if not wait:
                raise ModelBusy(
                    "The model is in use: another thread is running it. Try again later, or allow waiting."
                )
            if callable(wait):
                wait()
            time.sleep(PAUSE_SECONDS)
        self._shut = True

    def open(self) -> None:
        """Let everybody through; harmless when the gate is open."""
        for module, name, own in self._found:
            attributes = vars(module)
            if name in own:
                attributes[name] = own[name]
            else:
                attributes.pop(name, None)
        self._found, self._modules = [], {}

    def rescue(self) -> None:
        """Give the model back if its borrower never will."""
        rescue = self._rescue()
        if rescue is not None:
            rescue()

    def _put_up(self, module: nn.Module) -> None:
        attributes = vars(module)
        for name in SHARED:
            own = {name: attributes[name]} if name in attributes else {}
            # Noted before it is done: opening is right wherever closing was cut short.
            self._found.append((module, name, own))
            attributes[name] = _Gated(self, module, name, getattr(module, name))

    def admits(self, module: nn.Module) -> bool:
        """Whether a call of a module is the borrower's, or part of one that is waited for."""
        if self.borrower.calls():
            return True
        return not self._shut and _runs(sys._getframe(2), self._modules, itself=module)

    def _is_used(self) -> bool:
        """Whether another thread is inside one of the modules, and does not itself wait for a model."""
        stacks = sys._current_frames()
        # A frame that can be reached from itself would keep alive whatever its callers hold.
        del stacks[threading.get_ident()]
        used = any(_runs(frame, self._modules) for frame in stacks.values())
        stacks.clear()
        return used


class _Gated:
    """What stands in the place of one of a module's functions; thousands of them, so as little as can be."""

    __slots__ = ("__wrapped__", "gate", "module", "name")

    def __init__(self, gate: Gate, module: nn.Module, name: str, inner: Callable[..., Any]) -> None:
        # Whoever asks for the signature of a forward pass gets the true one.
        self.__wrapped__ = inner
        self.gate, self.module, self.name = gate, module, name

    def __call__(self, *args: Any, **options: Any) -> Any:
        # The usual case first: this stands before every part of every pass.
        if threading.get_ident() == self.gate.borrower.thread or self.gate.admits(self.module):
            return self.__wrapped__(*args, **options)
        return _wait(self.module, self.name)(*args, **options)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if self.gate.borrower.calls():
            return copy.deepcopy(self.__wrapped__, memo)
        return self.__reduce__()

    def __reduce__(self) -> NoReturn:
        raise ModelBusy(
            "The model is in use: it is borrowed, and a copy made now would be one of a borrowed model. "
            "Copy or save it before or after."
        )


def parts_of(model: nn.Module) -> list[nn.Module]:
    """All modules of a model, itself first, each once; without passing its gate, as `modules()` would."""
    found = {id(model): model}
    waiting = [model]
    while waiting:
        for part in list(waiting.pop()._modules.values()):
            if part is not None and id(part) not in found:
                found[id(part)] = part
                waiting.append(part)
    return list(found.values())


def _wait(module: nn.Module, name: str) -> Callable[..., Any]:
    """What a module does by that name, once nobody has it."""
    while True:
        found: Callable[..., Any] = getattr(module, name)
        if not isinstance(found, _Gated):
            return found
        found.gate.rescue()
        time.sleep(PAUSE_SECONDS)


def _runs(frame: FrameType | None, modules: Mapping[int, nn.Module], itself: nn.Module | None = None) -> bool:
    """Whether a stack leads through the call of a module; not counting the call of `itself` it ends in."""
    while frame is not None:
        if frame.f_code in WAITING:
            return False
        if frame.f_code is _CALL:
            called = frame.f_locals["self"]
            if called is not itself and id(called) in modules:
                return True
            itself = None
        frame = frame.f_back
    return False


# Code in which a thread waits for a model; whoever is inside goes on only when that one is back.
WAITING: set[CodeType] = {_wait.__code__, Gate.close.__code__}
