"""Borrows the user's model: locks it, remembers its state, and gives it back exactly as it was.

::

    with borrow(model, seed=0) as loan:     lock, close the gate, remember, prepare: all of it or nothing
        loan.model(...)                     eval mode, parameters frozen, gradients possible
        loan.hook(layer, see)               removed at the end, as is everything else that is new
                                            whatever happened: restore, open the gate, unlock

The memory holds the attributes and hooks of every module and every config the model can reach. Of every
parameter and buffer it holds which object it is, `requires_grad` and `.grad`. It does not hold the
numbers in the weights: nothing here writes to them. Restoring compares with the present state and changes
only what differs, so it may be interrupted and begun again at any point. After one interruption it runs a
second time. After two, the next loan of the model completes it.

Other threads may use the model meanwhile. Their calls wait at the gate, see `lock`. Trainable parameters
are not frozen themselves: frozen stand-ins with the same numbers take their places. So a backward pass
that is under way elsewhere, and the optimizer's step after it, reach the parameters as always. A change
of the numbers is noticed. A process that is forked while another thread has the model gets it back at
once.

This module, `lock` and `snapshot` are the only ones that write to a model.
"""

from __future__ import annotations

import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Generic, TypeVar, overload

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from groundviz.errors import ModelBusy, ModelChanged
from groundviz.forking import after_fork, free_locks
from groundviz.runtime.loan.lock import WAITING, Borrower, Gate, Wait, parts_of
from groundviz.runtime.loan.process_state import (
    PAUSE_SECONDS,
    CtrlC,
    ProcessState,
    TorchModes,
    attempt,
    seed_streams,
)
from groundviz.runtime.loan.snapshot import Memory, prepare

T = TypeVar("T")

# The loan of each borrowed module, by the module's id. A loan keeps its modules alive, so no id here can
# be another object's.
_BORROWED: dict[int, Loan] = {}
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
    """Borrow a model for a `with` block; when the block is left, the model is as it was.

    Inside, dropout is off (eval mode), compiled parts run uncompiled, no parameter needs a gradient,
    gradients are enabled, inference mode and autocast are off, and random streams start at `seed`. So
    results do not depend on the caller's modes. Afterwards all is as it was, whatever happened. Calls of
    the model in other threads end first, or wait until the block is left.

    Args:
        model: Any torch module. It and all its parts are locked for other loans.
        seed: Start of the random streams.
        wait: Whether to wait while another thread has the model; or a function to call every few
            milliseconds while waiting, which may raise to end it.
        hand_out: Makes the object that the `with` block gets from the loan. A second context manager
            around this one would leave a gap in which a Ctrl-C does harm.

    Raises:
        ModelBusy: On entry, when this thread has the model already; or when another thread has or runs
            it, and `wait` is false or this thread has borrowed something else (both might wait
            forever).
        ModelChanged: On leaving, when another thread changed the weights meanwhile.

    >>> layer = nn.Linear(2, 1)
    >>> with borrow(layer) as loan:
    ...     loan.model.training, loan.model.weight.requires_grad
    (False, False)
    >>> layer.training, layer.weight.requires_grad
    (True, True)
    """
    return Borrow(Loan(model, seed), wait=wait, hand_out=hand_out or _itself)


def loan_of(model: nn.Module) -> Loan | None:
    """The loan that this thread has of a model, if it has one."""
    loan = _BORROWED.get(id(model))
    return loan if loan is not None and loan._thread == threading.get_ident() and not loan._over else None


class Loan:
    """A model that the holder of this object has borrowed, until the `with` block ends.

    Attributes:
        model: The model itself, not a copy.
        seed: Start of the random streams.
    """

    def __init__(self, model: nn.Module, seed: int) -> None:
        self.model = model
        self.seed = seed
        self._thread = 0
        self._borrower = Borrower()
        self._gate = Gate(self._borrower, self._rescue)
        self._undos: list[Callable[[], object]] = []
        self._memory: Memory | None = None
        self._versions: list[int] = []
        self._process = ProcessState(_ACTIVE, _TURN)
        self._modes = TorchModes()
        self._ctrl_c = CtrlC(_NEVER_INTERRUPTED)
        self._block: weakref.ref[Borrow[Any]] | None = None
        self._begun = False
        self._over = False

    def hook(self, module: nn.Module, see: Callable[..., Any]) -> RemovableHandle:
        """Call `see(module, args, output)` after each forward pass of one part of the model.

        Its result replaces the output, unless it is None. Only the borrower's own passes are seen. The
        hook is removed at the end of the loan, or earlier through the handle.

        Raises:
            ValueError: The module is not part of the borrowed model, or the loan is over.

        >>> model, widths = nn.Sequential(nn.Linear(2, 3)), []
        >>> with borrow(model) as loan:
        ...     _ = loan.hook(model[0], lambda module, args, output: widths.append(output.shape[-1]))
        ...     _ = model(torch.zeros(1, 2))
        >>> widths
        [3]
        """
        self._require("A hook needs", module)
        calls = self._borrower.calls
        # Before the hooks with which transformers collects hidden states: they must see the changed output.
        return module.register_forward_hook(
            lambda *seen: see(*seen) if calls() else None,
            prepend=True,
        )

    def make_contiguous(self, module: nn.Module) -> None:
        """Make the input tensors of one part of the model contiguous, until the loan ends.

        Torch multiplies a non-contiguous input by frozen weights batch by batch. On a CPU in bfloat16 it
        copies the weights for each: minutes and gigabytes for an output head of a large vocabulary.
        """
        self._require("Contiguous inputs need", module)
        calls = self._borrower.calls
        module.register_forward_pre_hook(
            lambda _, args: tuple(map(_contiguous, args)) if calls() else None,
        )

    def wrap(self, module: nn.Module, around: Callable[..., Any]) -> Callable[[], None]:
        """Call `around(forward, *args, **kwargs)` in place of one part's forward pass.

        Only the borrower's own passes are wrapped. The wrapping ends with the loan, or earlier by calling
        the returned function.

        Raises:
            ValueError: The module is not part of the borrowed model, or the loan is over.
        """
        self._require("Wrapping needs", module)
        own = {"forward": vars(module)["forward"]} if "forward" in vars(module) else {}
        forward, calls = module.forward, self._borrower.calls

        def wrapped(*args: Any, **options: Any) -> Any:
            return around(forward, *args, **options) if calls() else forward(*args, **options)

        vars(module)["forward"] = wrapped

        def end() -> None:
            vars(module).pop("forward", None)
            vars(module).update(own)

        return end

    def on_return(self, undo: Callable[[], object]) -> None:
        """Call `undo()` at the end of the loan, before the model is restored.

        The last one registered is called first. Each is called even if another fails. It may be called
        more than once, so it must find out what is left to do.
        """
        self._undos.append(undo)

    def _require(self, what: str, module: nn.Module) -> None:
        if _BORROWED.get(id(module)) is not self:
            raise ValueError(f"{what} a part of the borrowed model, while it is borrowed.")

    @property
    def disturbed(self) -> bool:
        """Whether another thread has changed the weights since the loan, or `start_again`."""
        return self._memory is not None and self._memory.versions != self._versions

    def start_again(self) -> None:
        """Accept the weights as they are now, and restart the random streams."""
        if self._memory is not None:
            self._versions = self._memory.versions
        seed_streams(self.seed)

    def _take(self, wait: Wait) -> None:
        self._thread = threading.get_ident()
        self._borrower.take()
        self._wait_for_model(wait)
        self._gate.close(parts_of(self.model), wait)
        self._ctrl_c.hold()
        memory = self._memory = Memory(self.model)
        self._modes.take({tensor.device.type for tensor in memory.tensors})
        self._process.take(self.seed)
        self._versions = memory.versions
        prepare(memory, self._borrower)
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
            elif not wait or any(loan._thread == self._thread for loan in _BORROWED.copy().values()):
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
        for module in parts_of(self.model):
            other = _BORROWED.setdefault(id(module), self)
            if other is not self:
                self._release()
                return other
        return None

    def _release(self) -> None:
        for key, loan in _BORROWED.copy().items():
            if loan is self:
                del _BORROWED[key]

    def _rescue(self) -> None:
        if any(loan._thread == threading.get_ident() for loan in _BORROWED.copy().values()):
            raise ModelBusy(
                "The model is in use: another thread has borrowed it, and this one has borrowed something "
                "else and cannot wait, since both might wait forever. Call it before or after."
            )
        # A loan that was not completed: other threads would wait until the next loan heals it.
        if self._over:
            Loan(self.model, self.seed)._heal(self)

    def _leave_behind(self) -> None:
        """Undo a loan of a thread that the process, a forked one, does not have."""
        self._restore_model()
        self._process.put_back()
        self._ctrl_c.put_back()
        self._release()
        self._over, self._block = True, None

    def _heal(self, other: Loan) -> None:
        # One loan heals at a time, or the slower would undo what the next borrower has begun.
        if _BORROWED.setdefault(id(other), self) is not self:
            time.sleep(PAUSE_SECONDS)
            return
        failures = other._restore_model()
        other._process.forget()
        other._ctrl_c.put_back()
        other._release()
        self._release()
        for failure in failures:
            warnings.warn(
                f"The previous loan of the model was interrupted, and one of its undo steps raised "
                f"{type(failure).__name__}. The model itself is as it was before that loan.",
                RuntimeWarning,
                stacklevel=5,
            )

    def _abandon(self, block: weakref.ref[Borrow[Any]]) -> None:
        # The `with` block is gone, but the model was not given back: an error came between the end of
        # the block and the first line of __exit__. The modes of another thread cannot be set from here.
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
        failures = [failure for undo in self._drain() for failure in attempt(undo)]
        if self._memory is not None:
            self._memory.restore()
            self._memory = None
        self._gate.open()
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
        disturbed = self._loan.disturbed and not (error and not isinstance(error, Exception))
        try:
            self._end()
        except Exception as failure:
            if error is None:
                raise
            error.add_note(f"Giving the model back raised {type(failure).__name__}: {failure}")
        if disturbed:
            raise ModelChanged(
                "The model's weights were changed by another thread, a training step perhaps, while they "
                "were being read, so what was computed belongs to no model. Try again between two steps."
            ) from error

    def _end(self) -> None:
        try:
            self._loan._give_back()
        except BaseException:
            self._loan._give_back()
            raise
        finally:
            self._loan._over = True


def _after_fork() -> None:
    """In a process that was just forked, give back what threads had borrowed that it does not have."""
    this_thread = threading.get_ident()
    ours = {loan for loan in _BORROWED.values() if loan._thread == this_thread}
    if _TURN and next(iter(_TURN.values())) not in {loan._process for loan in ours}:
        _TURN.clear()
    gone = set(_BORROWED.values()) - ours
    if gone:
        # A thread that runs a model may be inside one of its library's locks.
        free_locks("transformers")
    for loan in gone:
        loan._leave_behind()


after_fork(_after_fork)
_NEVER_INTERRUPTED = frozenset(method.__code__ for method in (Borrow.__exit__, Borrow._end))
WAITING.add(Loan._wait_for_model.__code__)


def _itself(loan: Loan) -> Loan:
    return loan


def _contiguous(given: Any) -> Any:
    return given.contiguous() if isinstance(given, torch.Tensor) else given
