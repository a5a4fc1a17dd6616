"""Listening to attention where transformers dispatches it, whatever kernel computes the output.

Every attention module asks transformers' registry for its kernel at each call. While a tap is open,
the registry's entry is shadowed: calls of tapped modules go through a handler, which sees the
kernel's own query, key, value and mask; all other calls, those of other threads among them, pass straight
through. The configuration, the masks and the kernel stay what they were, so the model computes what it
always computes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from groundviz.errors import UnsupportedMethod
from groundviz.forking import after_fork, fork_safe_lock
from groundviz.runtime.attention.kernels import sight
from groundviz.runtime.attention.rows import Attention
from groundviz.runtime.loan.lock import Borrower

Kernel = Callable[..., tuple[Tensor, Tensor | None]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttentionCall(Attention):
    """What one attention layer was asked to compute.

    Attributes:
        layer: Number the module is known by.
        value: (batch, key head, column, channel).
        run: Computes the output with the model's own kernel: (batch, query, head, channel).
    """

    layer: int
    value: Tensor
    run: Callable[[], tuple[Tensor, Tensor | None]]


Handler = Callable[[AttentionCall], tuple[Tensor, Tensor | None]]


@contextmanager
def tapped(modules: Mapping[nn.Module, int], handler: Handler) -> Iterator[None]:
    """Send the attention calls of `modules` in this thread through `handler` until the block ends.

    Args:
        modules: Attention modules and the layer number each is known by.
        handler: Called instead of the kernel; `call.run()` is the kernel.

    Raises:
        UnsupportedMethod: A module's code does not dispatch attention through transformers.
    """
    listener = Borrower()
    listener.take()
    numbers = {id(module): _Line(number, handler, listener) for module, number in modules.items()}
    places = {_place(module) for module in modules}
    try:
        _SWITCHBOARD.connect(places, numbers)
        yield
    finally:
        release(modules)


def release(modules: Iterable[nn.Module]) -> None:
    """Close whatever taps are open on `modules`; harmless when none is."""
    _SWITCHBOARD.disconnect([id(module) for module in modules])


@dataclass(frozen=True, slots=True)
class _Line:
    """Where the calls of one module go: the number it is known by, who listens, and in which thread."""

    number: int
    handler: Handler
    listener: Borrower


@dataclass(frozen=True, slots=True)
class _Place:
    """One entry of one registry: which kernel name, seen from which modelling file."""

    file: str
    name: str

    @property
    def registry(self) -> Any:
        return getattr(sys.modules[self.file], "ALL_ATTENTION_FUNCTIONS", None)


class _Switchboard:
    """All open taps of the process; the registry is shadowed while there is one."""

    def __init__(self) -> None:
        # Re-entrant: closing a tap may be cut short and begun again on the same thread.
        self._lock = fork_safe_lock()
        self._lines: dict[int, _Line] = {}
        self._shadowed: dict[tuple[int, str], tuple[Any, Kernel | None]] = {}

    def connect(self, places: set[_Place], lines: Mapping[int, _Line]) -> None:
        with self._lock:
            for place in places:
                self._shadow(place.registry, place.name)
            self._lines.update(lines)

    def disconnect(self, modules: Iterable[int]) -> None:
        with self._lock:
            for number in modules:
                self._lines.pop(number, None)
            if not self._lines:
                self._unshadow()

    def after_fork(self) -> None:
        """Close the taps of threads that this process, a forked one, does not have."""
        self.disconnect([module for module, line in self._lines.items() if not line.listener.calls()])

    def _shadow(self, registry: Any, name: str) -> None:
        if (id(registry), name) in self._shadowed:
            return
        local = registry._local_mapping.get(name)
        kernel = registry[name] if name in registry else None
        self._shadowed[id(registry), name] = (registry, local)
        registry[name] = partial(self._dispatch, name, kernel)

    def _unshadow(self) -> None:
        for key, (registry, local) in list(self._shadowed.items()):
            if local is not None:
                registry[key[1]] = local
            else:
                registry._local_mapping.pop(key[1], None)
            del self._shadowed[key]

    def _dispatch(
        self, name: str, kernel: Kernel | None, module: nn.Module, *args: Any, **kwargs: Any
    ) -> Any:
        kernel = kernel or sys.modules[type(module).__module__].eager_attention_forward
        line = self._lines.get(id(module))
        if line is None or not line.listener.calls():
            return kernel(module, *args, **kwargs)
        return line.handler(_describe(name, line.number, partial(kernel, module), *args, **kwargs))


def _describe(
    name: str,
    layer: int,
    kernel: partial[Any],
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *args: Any,
    **kw: Any,
) -> AttentionCall:
    mask = args[0] if args else kw.get("attention_mask")
    scaling = kw.get("scaling")
    return AttentionCall(
        layer=layer,
        query=query,
        key=key,
        value=value,
        scaling=query.shape[-1] ** -0.5 if scaling is None else scaling,
        run=partial(kernel, query, key, value, *args, **kw),
        **sight(name, kernel.args[0], (query.shape[2], key.shape[2]), mask, kw),
    )


def _place(module: nn.Module) -> _Place:
    config = getattr(module, "config", None)
    file, kernel = type(module).__module__, getattr(config, "_attn_implementation", None)
    place = _Place(file, str(kernel))
    if place.registry is None or kernel is None:
        raise UnsupportedMethod(
            f"Attention of {type(module).__name__} cannot be read: it does not go through transformers' "
            "attention registry. Use a method that needs no attention, such as occlusion."
        )
    return place


_SWITCHBOARD = _Switchboard()
after_fork(_SWITCHBOARD.after_fork)
