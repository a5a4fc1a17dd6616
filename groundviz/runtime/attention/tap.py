"""Reads attention calls where transformers dispatches them, whatever kernel computes the output.

Every attention module asks transformers' registry for its kernel at each call. While a tap is open, the
registry's entry is replaced: calls of tapped modules go through a handler, which gets the kernel's own
query, key, value and mask. All other calls, also those of other threads, go straight to the kernel. The
model's configuration, masks and kernel are unchanged, so its outputs are too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from groundviz.errors import UnsupportedMethod
from groundviz.forking import after_fork, fork_safe_lock
from groundviz.runtime.attention.kernels import sight
from groundviz.runtime.attention.rows import Attention, weighted_values
from groundviz.runtime.loan.lock import Borrower

Kernel = Callable[..., tuple[Tensor, Tensor | None]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttentionCall(Attention):
    """One call of an attention module.

    Attributes:
        layer: The module's number.
        value: (batch, key head, column, channel).
        run: Computes the output with the model's own kernel: (batch, query, head, channel).
    """

    layer: int
    value: Tensor
    run: Callable[[], tuple[Tensor, Tensor | None]]

    def misread(self, output: Tensor, rows: slice) -> float:
        """How far rows times values are from the kernel's output, as a share of the largest of it.

        Args:
            output: What `run` gave, (batch, query, head, channel).
            rows: Which queries are compared; 0 of none.
        """
        own = output[:, rows].transpose(1, 2).float()
        if not own.numel():
            return 0.0
        largest = own.abs().max().clamp(min=torch.finfo(torch.float32).tiny)
        return float((weighted_values(self.rows(rows), self.value) - own).abs().max() / largest)


Handler = Callable[[AttentionCall], tuple[Tensor, Tensor | None]]


@contextmanager
def tapped(modules: Mapping[nn.Module, int], handler: Handler) -> Iterator[None]:
    """Send the attention calls of `modules` in this thread through `handler` until the block ends.

    Args:
        modules: Attention modules, with a layer number for each.
        handler: Called instead of the kernel; `call.run()` is the kernel.

    Raises:
        UnsupportedMethod: A module's code does not dispatch attention through transformers.
    """
    listener = Borrower()
    listener.take()
    taps = {id(module): _Tap(number, handler, listener) for module, number in modules.items()}
    places = {_place(module) for module in modules}
    try:
        _OPEN_TAPS.open(places, taps)
        yield
    finally:
        release(modules)


def release(modules: Iterable[nn.Module]) -> None:
    """Close all taps that are open on `modules`; harmless when none is."""
    _OPEN_TAPS.close([id(module) for module in modules])


@dataclass(frozen=True, slots=True)
class _Tap:
    """What happens to the calls of one module: its number, the handler, and the thread it is for."""

    number: int
    handler: Handler
    listener: Borrower


@dataclass(frozen=True, slots=True)
class _Place:
    """One entry of one registry: the name of a kernel, and the modelling file that asks for it."""

    file: str
    name: str

    @property
    def registry(self) -> Any:
        return getattr(sys.modules[self.file], "ALL_ATTENTION_FUNCTIONS", None)


class _OpenTaps:
    """All open taps of the process; registry entries are replaced while there is one."""

    def __init__(self) -> None:
        # Re-entrant: closing a tap may be interrupted and begun again on the same thread.
        self._lock = fork_safe_lock()
        self._taps: dict[int, _Tap] = {}
        self._replaced: dict[tuple[int, str], tuple[Any, Kernel | None]] = {}

    def open(self, places: set[_Place], taps: Mapping[int, _Tap]) -> None:
        with self._lock:
            for place in places:
                self._replace(place.registry, place.name)
            self._taps.update(taps)

    def close(self, modules: Iterable[int]) -> None:
        with self._lock:
            for module in modules:
                self._taps.pop(module, None)
            if not self._taps:
                self._put_back()

    def after_fork(self) -> None:
        """Close the taps of threads that this process, a forked one, does not have."""
        self.close([module for module, tap in self._taps.items() if not tap.listener.calls()])

    def _replace(self, registry: Any, name: str) -> None:
        if (id(registry), name) in self._replaced:
            return
        local = registry._local_mapping.get(name)
        # Not every registry names the eager kernel: `_dispatch` finds it in the modelling file.
        kernel = registry[name] if name in registry else None
        self._replaced[id(registry), name] = (registry, local)
        registry[name] = partial(self._dispatch, name, kernel)

    def _put_back(self) -> None:
        for key, (registry, local) in list(self._replaced.items()):
            name = key[1]
            if local is not None:
                registry[name] = local
            else:
                registry._local_mapping.pop(name, None)
            del self._replaced[key]

    def _dispatch(
        self, name: str, kernel: Kernel | None, module: nn.Module, *args: Any, **kwargs: Any
    ) -> Any:
        kernel = kernel or sys.modules[type(module).__module__].eager_attention_forward
        tap = self._taps.get(id(module))
        if tap is None or not tap.listener.calls():
            return kernel(module, *args, **kwargs)
        call = _described(name, tap.number, partial(kernel, module), *args, **kwargs)
        return tap.handler(call)


def _described(
    name: str,
    layer: int,
    kernel: partial[Any],
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *args: Any,
    **kw: Any,
) -> AttentionCall:
    # Some modules pass the mask by position, others by name.
    mask = args[0] if args else kw.get("attention_mask")
    scaling = kw.get("scaling")
    if scaling is None:
        scaling = query.shape[-1] ** -0.5
    return AttentionCall(
        layer=layer,
        query=query,
        key=key,
        value=value,
        scaling=scaling,
        run=partial(kernel, query, key, value, *args, **kw),
        **sight(name, kernel.args[0], (query.shape[2], key.shape[2]), mask, kw),
    )


def _place(module: nn.Module) -> _Place:
    config = getattr(module, "config", None)
    kernel = getattr(config, "_attn_implementation", None)
    place = _Place(type(module).__module__, str(kernel))
    if place.registry is None or kernel is None:
        raise UnsupportedMethod(
            f"Attention of {type(module).__name__} cannot be read: it does not go through transformers' "
            "attention registry. Use a method that needs no attention, such as occlusion."
        )
    return place


_OPEN_TAPS = _OpenTaps()
after_fork(_OPEN_TAPS.after_fork)
