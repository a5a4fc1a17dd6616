"""The state of a model before it is borrowed, so that it can be restored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from groundviz.runtime.loan.containers import put_back, reachable
from groundviz.runtime.loan.lock import Borrower, parts_of


class Memory:
    """Everything about a model that is not a number in a tensor.

    Attributes:
        modules: All parts of the model.
        tensors: All its parameters and buffers, each once.
        stand_ins: By id of a trainable parameter, the frozen one that replaces it during the loan.
    """

    def __init__(self, model: nn.Module) -> None:
        self.modules = parts_of(model)
        self.tensors = _unique(tensor for module in self.modules for tensor in _tensors(module))
        self.stand_ins: dict[int, nn.Parameter] = {}
        with torch.inference_mode(False):
            for tensor in filter(needs_gradient, self.tensors):
                frozen = _stand_in(tensor)
                if frozen is not None:
                    self.stand_ins[id(tensor)] = frozen
            # A parameter with a stand-in is not touched, and other threads may train it meanwhile.
            own = [tensor for tensor in self.tensors if id(tensor) not in self.stand_ins]
            self._facts = [(tensor, _Facts.now(tensor)) for tensor in own]
        inside = [list(vars(tensor).values()) for tensor in self.tensors if id(tensor) in self.stand_ins]
        holders = [*(vars(owner) for owner in (*self.modules, *own)), *inside]
        self._copies = [(holder, holder.copy()) for holder in reachable(holders)]

    @property
    def versions(self) -> list[int]:
        """How often each parameter was written to; a stand-in shares the count of its parameter."""
        weights = (tensor for tensor in self.tensors if isinstance(tensor, nn.Parameter))
        return [weight._version for weight in weights if not weight.is_inference()]

    def restore(self) -> None:
        """Restore whatever differs; right from any state in between, too."""
        for holder, copy in self._copies:
            put_back(holder, copy)
        for tensor, facts in self._facts:
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


def needs_gradient(tensor: torch.Tensor) -> bool:
    """Whether a tensor is a trainable weight that can be frozen."""
    return tensor.requires_grad and tensor.is_leaf and not tensor.is_inference()


def _stand_in(weight: torch.Tensor) -> nn.Parameter | None:
    """A frozen parameter that shares a weight's memory; None where torch would make another type."""
    frozen = nn.Parameter(weight.detach(), requires_grad=False)
    if type(frozen) is not type(weight):
        # Libraries have parameter types of their own, for quantised weights perhaps.
        return None
    vars(frozen).update(vars(weight))
    return frozen


class BorrowedParameters(dict[str, Any]):
    """The parameters of a borrowed module: frozen stand-ins for the borrower, for all others its own.

    Another thread may read `module.weight` without calling anything that waits, and may be in the middle of
    going through the parameters when the model is borrowed: the dictionary that it goes through stays.
    """

    def __init__(self, own: dict[str, Any], frozen: dict[str, Any], borrower: Borrower) -> None:
        super().__init__(own | frozen)
        self._own, self._borrower = own, borrower

    def _seen(self) -> dict[str, Any]:
        return self if self._borrower.calls() else self._own

    def __getitem__(self, name: str) -> Any:
        """The parameter of a name."""
        return dict.__getitem__(self._seen(), name)

    def get(self, name: str, default: Any = None) -> Any:
        """The parameter of a name, or something else where there is none."""
        return dict.get(self._seen(), name, default)

    def values(self) -> Any:
        """All parameters."""
        return dict.values(self._seen())

    def items(self) -> Any:
        """All names and parameters."""
        return dict.items(self._seen())

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy is an ordinary dictionary."""
        return dict, (dict(self._seen().items()),)


def prepare(memory: Memory, borrower: Borrower) -> None:
    """Make a remembered model ready to be explained: eval mode, nothing compiled, nothing trainable.

    Args:
        memory: Of the model.
        borrower: Who alone sees frozen parameters.
    """
    # Written to __dict__ and not through eval(), which a model may have overridden.
    for module in memory.modules:
        vars(module)["training"] = False
        _run_uncompiled(module)
        frozen = {}
        for name, weight in module._parameters.items():
            if id(weight) in memory.stand_ins:
                frozen[name] = memory.stand_ins[id(weight)]
        if frozen and type(module._parameters) is dict:
            vars(module)["_parameters"] = BorrowedParameters(module._parameters, frozen, borrower)
        else:
            # A dictionary of a library may do more than keep.
            module._parameters.update(frozen)
    for tensor in memory.tensors:
        # A weight without a stand-in is frozen itself.
        if id(tensor) not in memory.stand_ins and needs_gradient(tensor):
            tensor.requires_grad = False


def _run_uncompiled(module: nn.Module) -> None:
    # Compiled code does not call hooks that were added after it was compiled.
    if module._compiled_call_impl:
        vars(module)["_compiled_call_impl"] = None
    if "_orig_mod" in module._modules:
        vars(module)["forward"] = module._modules["_orig_mod"]
