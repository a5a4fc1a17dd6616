"""Only the borrower uses a borrowed model: calls of other threads wait at a gate until it is back.

While the gate is closed, some methods of every module are replaced by functions of the same name: the
forward pass, and all that change a module or give access to its parameters. The borrowing thread passes
through them. Other threads wait there, and then call the method that is there by then. So no thread sees
a model in the middle of being borrowed, and the borrower's hooks never see a call of another thread.

The gate waits for calls that began before it closed. It finds them on the stacks of the other threads,
so a model that is not borrowed carries no hook at all.
"""

from __future__ import annotations

import copy
import inspect
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

# Methods that other threads call on a shared module: they run it, set its mode, go through its
# parameters (`parameters`, `zero_grad`, ... all begin with `named_modules`), move it, load weights into
# it, hook it.
SHARED = (
    "forward",
    "train",
    "named_modules",
    "_apply",
    "load_state_dict",
    "_load_from_state_dict",
    "register_forward_hook",
    "register_forward_pre_hook",
    "register_full_backward_hook",
)
_ANSWERABLE = "groundviz thread"


class Borrower:
    """The thread that last called `take`, and torch's own threads while they work for it.

    On an accelerator torch computes gradients in threads of its own. They get copies of the thread-local
    objects of the thread that asked for the gradients; one of these is the borrower's number.
    """

    def __init__(self) -> None:
        self.thread = 0  # No thread has this number.

    def take(self) -> None:
        """Make this thread the borrower."""
        self.thread = threading.get_ident()
        # The thread's own number, so it need not be removed afterwards.
        torch._C._stash_obj_in_tls(_ANSWERABLE, self.thread)

    def calls(self) -> bool:
        """Whether the caller runs for the borrower."""
        if threading.get_ident() == self.thread:
            return True
        return torch._C._is_key_in_tls(_ANSWERABLE) and torch._C._get_obj_in_tls(_ANSWERABLE) == self.thread


class Gate:
    """Keeps all threads but the borrower's out of some modules, from `close` to `open`.

    Args:
        borrower: The thread that may pass.
        rescue: Called repeatedly by waiting threads; gives the model back if its borrower cannot.
    """

    def __init__(self, borrower: Borrower, rescue: Callable[[], object]) -> None:
        self.borrower = borrower
        # A strong reference would keep a model alive that is otherwise unused.
        self._rescue = weakref.WeakMethod(rescue)
        self._modules: Mapping[int, nn.Module] = {}
        self._found: list[tuple[nn.Module, str, dict[str, Any]]] = []
        self._shut = False

    def close(self, modules: Iterable[nn.Module], wait: Wait) -> None:
        """Let calls of other threads wait from now on, and wait for those that are under way.

        Args:
            modules: All parts of the model.
            wait: Whether to wait for calls that are under way; or a function to call while waiting.

        Raises:
            ModelBusy: Another thread is running the model, and `wait` is false.
        """
        self._modules = {id(module): module for module in modules}
        for module in self._modules.values():
            self._put_up(module)
        # Checked twice: a thread may have been between looking a method up and calling it.
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
        """Let all threads through; harmless when the gate is open."""
        # A thread that finds the model's own method may meet a part's that is not put back yet, inside a lock
        # of its library.
        self._shut = False
        for module, name, own in self._found:
            attributes = vars(module)
            if name in own:
                attributes[name] = own[name]
            else:
                attributes.pop(name, None)
        self._found, self._modules = [], {}

    def rescue(self) -> None:
        """Give the model back if its borrower cannot."""
        rescue = self._rescue()
        if rescue is not None:
            rescue()

    def _put_up(self, module: nn.Module) -> None:
        attributes = vars(module)
        for name in SHARED:
            own = {}
            if name in attributes:
                own[name] = attributes[name]
            # Noted before it is replaced: so `open` is right wherever `close` was interrupted.
            self._found.append((module, name, own))
            attributes[name] = _Gated(self, module, name, getattr(module, name))

    def admits(self, module: nn.Module, name: str, caller: FrameType) -> bool:
        """Whether a call of a module is the borrower's, or part of one that `close` waits for."""
        if self.borrower.calls():
            return True
        return not self._shut and _runs(caller, self._modules, itself=module if name == "forward" else None)

    def _is_used(self) -> bool:
        """Whether another thread is inside one of the modules, and does not itself wait for a model."""
        stacks = sys._current_frames()
        # A frame with a reference to itself would keep alive all that its callers refer to.
        del stacks[threading.get_ident()]
        used = any(_runs(frame, self._modules) for frame in stacks.values())
        stacks.clear()
        return used


class _Gated:
    """Replaces one method of a module while the gate is closed; small, since there are thousands."""

    __slots__ = ("__wrapped__", "gate", "module", "name")

    def __init__(self, gate: Gate, module: nn.Module, name: str, inner: Callable[..., Any]) -> None:
        # `inspect.signature` follows this, so the signature of the forward pass stays the same.
        self.__wrapped__ = inner
        self.gate, self.module, self.name = gate, module, name

    def __call__(self, *args: Any, **options: Any) -> Any:
        # The usual case first: this runs before every module of every pass.
        if threading.get_ident() == self.gate.borrower.thread:
            return self.__wrapped__(*args, **options)
        return _way_in(self.module, self.name, sys._getframe(1))(*args, **options)

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
    """All modules of a model, itself first, each once; unlike `modules()` without passing its gate."""
    found = {id(model): model}
    waiting = [model]
    while waiting:
        for part in list(waiting.pop()._modules.values()):
            if part is not None and id(part) not in found:
                found[id(part)] = part
                waiting.append(part)
    return list(found.values())


def _way_in(module: nn.Module, name: str, caller: FrameType) -> Callable[..., Any]:
    """The method of that name, once the module is not borrowed, or its gate admits the caller."""
    while True:
        # Looked up each time: by now the gate may be open, or be that of another loan.
        found: Callable[..., Any] = getattr(module, name)
        if not isinstance(found, _Gated):
            return found
        if found.gate.admits(module, name, caller):
            return found.__wrapped__
        _pause(found.gate)


def _pause(gate: Gate) -> None:
    """Wait a moment. Apart from `_way_in`: a thread that has found its way through will use the model."""
    gate.rescue()
    time.sleep(PAUSE_SECONDS)


def _runs(frame: FrameType | None, modules: Mapping[int, nn.Module], itself: nn.Module | None = None) -> bool:
    """Whether a stack contains a call of a module; not counting the call of `itself` that it ends in."""
    while frame is not None:
        if frame.f_code in WAITING:
            return False
        if frame.f_code in _USING:
            called = frame.f_locals["self"]
            if isinstance(called, _Gated):
                called = called.module
            if called is not itself and id(called) in modules:
                return True
            # Two frames make a call, of which this is the outer one.
            if frame.f_code is _CALL:
                itself = None
        if frame.f_back is None:
            # A generator that was suspended while its stack was read: its callers are not known.
            return bool(frame.f_code.co_flags & inspect.CO_GENERATOR)
        frame = frame.f_back
    return False


_CALL = nn.Module._wrapped_call_impl.__code__
# Code in which a thread uses the module that is its `self`: it runs it, or is in the middle of one of the
# shared methods, or was let through to one of them and has not begun it yet.
_USING: set[CodeType] = {_CALL, nn.Module._call_impl.__code__, _Gated.__call__.__code__}
_USING |= {getattr(nn.Module, name).__code__ for name in SHARED if name != "forward"}
# Code in which a thread waits for a model: a thread inside it does not use the model.
WAITING: set[CodeType] = {_pause.__code__, Gate.close.__code__}
