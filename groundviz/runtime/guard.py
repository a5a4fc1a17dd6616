"""The user's model is lent to us: locked, remembered, used, and given back exactly as it was.

::

    with borrow(model, seed=0) as loan:     lock, remember, prepare: all of it or nothing
        loan.model(...)                     eval mode, parameters frozen, gradients possible
        loan.hook(layer, see)               gone at the end, as is everything else that is new
                                            whatever happened: put back, unlock

Remembered are the attributes and hooks of every module, every config the model can reach, and
for every parameter and buffer which object it is, `requires_grad` and `.grad`. The numbers in
the weights are not: nothing here may write to them. Putting back compares with what is there and
changes only what differs, so it may be cut short and begun again at any point. It runs twice if
the first time is cut short, and when that is cut short too, the next loan of the model
completes it.

Using a lent model from another thread without borrowing it is outside this guard's reach.
This module is the only one that writes to a model.
"""

from __future__ import annotations

import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Generic, TypeVar, overload

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from groundviz.errors import ModelBusy
from groundviz.runtime.containers import put_back, reachable
from groundviz.runtime.surroundings import PAUSE_SECONDS, CtrlC, ProcessState, TorchModes

T = TypeVar("T")
Wait = bool | Callable[[], object]

# What is lent now, by id of the module; empty when nothing is. A loan keeps its modules alive,
# so no id here can be another object's.
_LENT: dict[int, Loan] = {}
_ACTIVE: list[ProcessState] = []
_TURN: dict[str, ProcessState] = {}


@overload
def borrow(model: nn.Module, *, seed: int = 0, wait: Wait = True) -> Borrow[Loan]: ...
@overload
def borrow(
    model: nn.Module, *, seed: int = 0, wait: Wait = True, hand_out: Callable[[Loan], T]
) -> Borrow[T]: ...
def borrow(
    model: nn.Module, *, seed: int = 0, wait: Wait = True, hand_out: Callable[[Loan], Any] | None = None
) -> Borrow[Any]:
    """The model to work with inside a `with` block, and as it was when the block is left.

    Inside, dropout is off (eval mode), compiled parts run as written, no parameter needs a gradient,
    gradients are enabled, inference mode and autocast are off, and random streams start at `seed`:
    results do not depend on the caller's modes. Afterwards all is as it was, whatever happened.

    Args:
        model: Any torch module. It and all its parts are locked for other loans.
        seed: Start of the random streams.
        wait: Whether to wait while another thread has the model; or what to call every few
            milliseconds while waiting, which may raise to end it.
        hand_out: Makes of the loan what the block gets. Wrapping this in another context manager
            would serve as well, but for a Ctrl-C between the two.

    Raises:
        ModelBusy: On entry, when this thread has the model already, or another one has it and
            `wait` is false or this thread has borrowed something else (both might wait forever).

    >>> layer = nn.Linear(2, 1)
    >>> with borrow(layer) as loan:
    ...     loan.model.training, loan.model.weight.requires_grad
    (False, False)
    >>> layer.training, layer.weight.requires_grad
    (True, True)
    """
    return Borrow(Loan(model, seed), wait=wait, hand_out=hand_out or _itself)


class Loan:
    """A model that is lent to the holder of this object, until the `with` block ends.

    Attributes:
        model: The model itself, not a copy.
        seed: What the random streams were started with.
    """

    def __init__(self, model: nn.Module, seed: int) -> None:
        self.model = model
        self.seed = seed
        self._thread = 0
        self._undos: list[Callable[[], object]] = []
        self._memory: _Memory | None = None
        self._process = ProcessState(_ACTIVE, _TURN)
        self._modes = TorchModes()
        self._ctrl_c = CtrlC(_NEVER_INTERRUPTED)
        self._block: weakref.ref[Borrow[Any]] | None = None
        self._begun = False
        self._over = False

    def hook(self, module: nn.Module, see: Callable[..., Any]) -> RemovableHandle:
        """Have `see(module, args, output)` called after each forward pass of one part of the model.

        What it returns replaces the output, unless None. The hook is removed at the end of the
        loan, or earlier through the handle.

        Raises:
            ValueError: The module is not part of the lent model, or the loan is over.

        >>> model, widths = nn.Sequential(nn.Linear(2, 3)), []
        >>> with borrow(model) as loan:
        ...     _ = loan.hook(model[0], lambda module, args, output: widths.append(output.shape[-1]))
        ...     _ = model(torch.zeros(1, 2))
        >>> widths
        [3]
        """
        if _LENT.get(id(module)) is not self:
            raise ValueError("A hook needs a part of the model that is lent, while it is lent.")
        # Before the hooks with which transformers collects hidden states: they must see what goes on.
        return module.register_forward_hook(see, prepend=True)

    def wrap(self, module: nn.Module, around: Callable[..., Any]) -> Callable[[], None]:
        """Have `around(forward, *args, **kwargs)` called in place of one part's forward pass.

        It ends with the loan, or earlier by calling what is returned.

        Raises:
            ValueError: The module is not part of the lent model, or the loan is over.
        """
        if _LENT.get(id(module)) is not self:
            raise ValueError("Wrapping needs a part of the model that is lent, while it is lent.")
        own = {"forward": vars(module)["forward"]} if "forward" in vars(module) else {}
        vars(module)["forward"] = partial(around, module.forward)

        def end() -> None:
            vars(module).pop("forward", None)
            vars(module).update(own)

        return end

    def on_return(self, undo: Callable[[], object]) -> None:
        """Call `undo()` at the end of the loan, before the model is put back.

        The last one registered is called first. Each is called even if another fails, and may be
        called more than once: it must find out what is left to do.
        """
        self._undos.append(undo)

    def _take(self, wait: Wait) -> None:
        self._thread = threading.get_ident()
        self._wait_for_model(wait)
        self._ctrl_c.hold()
        memory = self._memory = _Memory(self.model)
        self._modes.take({tensor.device.type for tensor in memory.tensors})
        self._process.take(self.seed)
        _prepare(memory.modules, memory.tensors)
        self._ctrl_c.let_through()

    def _wait_for_model(self, wait: Wait) -> None:
        while (other := self._claim()) is not None:
            if other._over:
                self._heal(other)
            elif other._thread == self._thread:
                raise ModelBusy(
                    "The model is in use: this thread has borrowed it and was asked to borrow it "
                    "again. Finish the first explanation before starting the next."
                )
            elif not wait or any(loan._thread == self._thread for loan in _LENT.copy().values()):
                raise ModelBusy(
                    "The model is in use: another thread has borrowed it, and this one cannot wait "
                    "for it. Try again later, or allow waiting while nothing else is borrowed."
                )
            else:
                if callable(wait):
                    wait()
                time.sleep(PAUSE_SECONDS)

    def _claim(self) -> Loan | None:
        # setdefault has happened or it has not: an interrupt cannot fall between taking a lock and
        # knowing that it was taken, and whatever is claimed can be found and released.
        for module in self.model.modules():
            other = _LENT.setdefault(id(module), self)
            if other is not self:
                self._release()
                return other
        return None

    def _release(self) -> None:
        for key, loan in _LENT.copy().items():
            if loan is self:
                del _LENT[key]

    def _heal(self, other: Loan) -> None:
        # One loan heals at a time, or the slower would undo what the next borrower has begun.
        if _LENT.setdefault(id(other), self) is not self:
            time.sleep(PAUSE_SECONDS)
            return
        failures = other._restore_model()
        other._process.forget()
        other._ctrl_c.put_back()
        other._release()
        self._release()
        for failure in failures:
            warnings.warn(
                f"The previous loan of the model was cut short, and one of its undo steps raised "
                f"{type(failure).__name__}. The model itself is as it was before that loan.",
                RuntimeWarning,
                stacklevel=5,
            )

    def _abandon(self, block: weakref.ref[Borrow[Any]]) -> None:
        # The `with` block is gone, yet nobody gave the model back: an error fell between the end of
        # the block and the first line of __exit__. Another thread's modes are not ours to set.
        if self._begun and not self._over and self._thread == threading.get_ident():
            self._give_back()
        self._over, self._block = True, None

    def _give_back(self) -> None:
        failures = self._restore_model()
        self._process.put_back()
        self._modes.put_back()
        self._release()
        self._over, self._block = True, None
        self._ctrl_c.put_back()
        for failure in failures:
            raise failure

    def _restore_model(self) -> list[Exception]:
        failures = [failure for undo in self._drain() for failure in _attempt(undo)]
        if self._memory is not None:
            self._memory.restore()
            self._memory = None
        return failures

    def _drain(self) -> Iterator[Callable[[], object]]:
        while self._undos:
            yield self._undos[-1]
            self._undos.pop()


class Borrow(Generic[T]):
    """The `with` block of one loan; `borrow` makes it."""

    def __init__(self, loan: Loan, *, wait: Wait, hand_out: Callable[[Loan], T]) -> None:
        self._loan = loan
        self._wait = wait
        self._hand_out = hand_out
        loan._block = weakref.ref(self, loan._abandon)

    def __enter__(self) -> T:
        if self._loan._begun:
            raise ModelBusy(
                "This loan has been used: one `with` block was entered twice. Call borrow() for each."
            )
        try:
            self._loan._begun = True
            self._loan._take(self._wait)
            return self._hand_out(self._loan)
        except BaseException:
            self._end()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._end()
        except Exception as failure:
            if error is None:
                raise
            error.add_note(f"Giving the model back raised {type(failure).__name__}: {failure}")

    def _end(self) -> None:
        try:
            self._loan._give_back()
        except BaseException:
            self._loan._give_back()
            raise
        finally:
            self._loan._over = True


_NEVER_INTERRUPTED = frozenset(method.__code__ for method in (Borrow.__exit__, Borrow._end))


def _itself(loan: Loan) -> Loan:
    return loan


def _attempt(undo: Callable[[], object]) -> list[Exception]:
    failures: list[Exception] = []
    for _ in range(2):
        try:
            undo()
        except Exception as failure:
            failures.append(failure)
        else:
            break
    return failures


def _prepare(modules: Iterable[nn.Module], tensors: Iterable[torch.Tensor]) -> None:
    # Written to __dict__ and not through eval(), which a model may have overridden.
    for module in modules:
        vars(module)["training"] = False
        _run_uncompiled(module)
    for tensor in tensors:
        if tensor.requires_grad and tensor.is_leaf and not tensor.is_inference():
            tensor.requires_grad = False


def _run_uncompiled(module: nn.Module) -> None:
    # Compiled code does not call hooks that came after it, and does not say so.
    vars(module).update({"_compiled_call_impl": None} if module._compiled_call_impl else {})
    if "_orig_mod" in module._modules:
        vars(module)["forward"] = module._modules["_orig_mod"]


class _Memory:
    """Everything about a model that is not a number in a tensor."""

    def __init__(self, model: nn.Module) -> None:
        self.modules = tuple(model.modules())
        self.tensors = _unique(tensor for module in self.modules for tensor in _tensors(module))
        holders = [vars(owner) for owner in (*self.modules, *self.tensors)]
        self._copies = [(holder, holder.copy()) for holder in reachable(holders)]
        with torch.inference_mode(False):
            self._facts = [_Facts.now(tensor) for tensor in self.tensors]

    def restore(self) -> None:
        """Change whatever differs back; right from any state in between, too."""
        for holder, copy in self._copies:
            put_back(holder, copy)
        for tensor, facts in zip(self.tensors, self._facts, strict=True):
            facts.restore(tensor)


@dataclass(frozen=True, slots=True)
class _Facts:
    data: torch.Tensor
    requires_grad: bool
    grad: torch.Tensor | None

    @classmethod
    def now(cls, tensor: torch.Tensor) -> _Facts:
        return cls(tensor.detach(), tensor.requires_grad, _grad(tensor))

    def restore(self, tensor: torch.Tensor) -> None:
        # Some quantised layers repack their numbers when they are first used.
        if tensor.data_ptr() != self.data.data_ptr():
            tensor.data = self.data
        if tensor.requires_grad != self.requires_grad:
            tensor.requires_grad = self.requires_grad
        if _grad(tensor) is not self.grad:
            tensor.grad = self.grad


def _unique(tensors: Iterable[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    return tuple({id(tensor): tensor for tensor in tensors}.values())


def _tensors(module: nn.Module) -> Iterator[torch.Tensor]:
    for registry in (module._parameters, module._buffers):
        yield from (tensor for tensor in registry.values() if tensor is not None)


def _grad(tensor: torch.Tensor) -> torch.Tensor | None:
    return tensor.grad if tensor.is_leaf else None  # torch warns on other tensors
