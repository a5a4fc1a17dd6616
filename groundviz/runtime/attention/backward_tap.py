"""Attention weights and their gradients in one backward pass, while the model's own kernel computes.

The output of every attention call is wrapped in an identity function. In the backward pass that
function receives dO, the gradient of a scalar with respect to the attention output. The gradient with
respect to the attention weights follows as the vector-Jacobian product dO times V transposed, for a few
rows at a time, so no (row, column) map of a whole layer is ever in memory.

Query, key and value are kept as autograd keeps its own tensors. Under gradient checkpointing they are
therefore computed again, not held.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from groundviz.errors import UnsupportedMethod
from groundviz.runtime.attention.propagation import Block, Gradients
from groundviz.runtime.attention.rows import Attention
from groundviz.runtime.attention.tap import AttentionCall

# Receives a layer number and one call of that layer, with the gradients of its attention.
Receive = Callable[[int, Block], None]


class BackwardTap:
    """A tap handler that reports each attention call when a gradient passes it, last layer first.

    A layer may be called several times in one pass, once per window or image. Its tokens are then
    counted through all calls. A pass under checkpointing calls layers again during the backward pass.
    """

    def __init__(self) -> None:
        self._rows_so_far: dict[int, int] = {}
        self._rows_per_pass: dict[int, int] = {}
        self._receive: Receive | None = None
        # Every call's output depends on this, so a gradient with respect to it passes all of them.
        self._source = torch.zeros((), requires_grad=True)

    def __call__(self, call: AttentionCall) -> tuple[Tensor, Tensor | None]:
        """Let the kernel compute, and wrap its output."""
        output, weights = call.run()
        start = self._rows_so_far.get(call.layer, 0)
        self._rows_so_far[call.layer] = start + call.query.shape[0] * call.query.shape[2]
        # Tensors go through autograd alone: a reference from here would keep them alive.
        tensors: dict[str, Tensor] = {}
        settings: dict[str, Any] = {}
        for part in fields(Attention):
            value = getattr(call, part.name)
            if isinstance(value, Tensor):
                tensors[part.name] = value
            else:
                settings[part.name] = value
        on_gradient = partial(self._on_gradient, call.layer, start, settings, tuple(tensors))
        wrap = cast(Callable[..., Tensor], _Identity.apply)
        wrapped = wrap(output, self._source, on_gradient, call.value, *tensors.values())
        return wrapped, weights

    def back(self, scalar: Tensor, receive: Receive, *, retain: bool = False) -> None:
        """Send the gradient of a scalar back through the pass.

        Args:
            scalar: Computed by the pass, with gradients enabled.
            receive: Called for each attention call with its layer number, rows and gradients.
            retain: Whether the pass will be asked for another scalar.

        Raises:
            UnsupportedMethod: The scalar does not depend on any tapped attention.
        """
        if not self._rows_per_pass:
            self._rows_per_pass = dict(self._rows_so_far)
        self._receive = receive
        if not scalar.requires_grad:
            raise UnsupportedMethod(
                "There is no gradient to follow: the scalar depends on no attention that was tapped. "
                "Tap attention that the answer depends on, in a pass with gradients enabled."
            )
        torch.autograd.grad(scalar, self._source, retain_graph=retain, allow_unused=True)

    def _on_gradient(
        self,
        layer: int,
        start: int,
        settings: dict[str, Any],
        names: tuple[str, ...],
        output_gradient: Tensor,
        tensors: tuple[Tensor, ...],
    ) -> None:
        value, *named = tensors
        described: dict[str, Any] = settings | dict(zip(names, named, strict=True))
        attention = Attention(**described)
        gradients = Gradients(output_gradient.transpose(1, 2), value)
        # Calls that checkpointing repeats are numbered on: count them from the start of the pass.
        first = start % self._rows_per_pass[layer]
        if self._receive is not None:
            self._receive(layer, Block(attention, first, gradients))


class _Identity(torch.autograd.Function):
    """Returns its first input, and reports the gradient that comes back to it."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, source: Tensor, on_gradient: Any, *tensors: Tensor) -> Any:
        ctx.save_for_backward(*tensors)
        ctx.on_gradient = on_gradient
        return output.view_as(output)

    @staticmethod
    def backward(ctx: Any, output_gradient: Tensor) -> Any:
        # Read once: each access under checkpointing computes the tensors anew.
        tensors = ctx.saved_tensors
        ctx.on_gradient(output_gradient, tensors)
        no_gradients = [None] * len(tensors)
        return output_gradient, None, None, *no_gradients
