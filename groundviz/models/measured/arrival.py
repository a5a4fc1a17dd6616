"""Runs a model up to where the image arrives: at the layers that read the prompt.

To every embedding of the prompt's tokens a probe of zeros is added. The stream is what enters the first of a
list of layers that both probe and image reach. Its rows that the probe does not reach are the image tokens:
no name, no token id and no module of the model is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from groundviz.models.adapter.unmeasurable import Unmeasurable, attempted
from groundviz.record.types import Ints
from groundviz.runtime.loan.guard import Loan
from groundviz.runtime.passes.forward import PROMPT

# The share of the text's tokens that an embedding is given as they are: models hide image tokens from it.
MOST_TEXT = 0.9


class _Arrived(Exception):
    """Ends the pass: the image has arrived."""


@dataclass(slots=True, eq=False)
class Arrival:
    """What was seen on the way.

    Attributes:
        images: The image inputs, which gradients lead to.
        rows: (image token, channel), the stream at the image tokens; None where no stream depends on both.
        positions: int (image token,), their positions in the prompt.
        layers: The list of layers that the stream enters.
        outputs: Modules and their outputs that depend on the image, in the order in which they ended.
        reaching: The modules whose output the stream depends on.
        lists: All lists of layers of the model.
    """

    images: list[Tensor]
    rows: Tensor | None = None
    positions: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    layers: nn.ModuleList | None = None
    outputs: list[tuple[nn.Module, Tensor]] = field(default_factory=list)
    reaching: set[nn.Module] = field(default_factory=set)
    lists: list[nn.ModuleList] = field(default_factory=list)


def arrive(
    loan: Loan,
    inputs: Mapping[str, Tensor],
    names: Sequence[str],
    *,
    mode: AbstractContextManager[Any],
    with_image: bool = True,
) -> Arrival:
    """Run a borrowed model until the image arrives; it stays part of a graph of gradients.

    Cost: a pass through the vision tower and the projector.

    Args:
        loan: The loan of the model.
        inputs: Keyword tensors of its forward, on its device.
        names: Those that hold the image.
        mode: Lasts during the pass: `Silenced`, or nothing.
        with_image: Whether the stream must depend on the image; else it is the text's alone.

    Raises:
        Unmeasurable: The pass fails, or no layers read prompt and image together.
    """
    if PROMPT not in inputs:
        raise Unmeasurable("its encoder reads the image alone, and its decoder attends to all of that")
    leaves = {name: inputs[name].detach().requires_grad_() for name in names if with_image}
    arrival = Arrival(list(leaves.values()))
    probes: list[Tensor] = []
    ids = inputs[PROMPT]
    with ExitStack() as stack:
        for module in loan.model.modules():
            if isinstance(module, nn.Embedding):
                stack.callback(loan.hook(module, _probing(ids, probes)).remove)
            elif isinstance(module, nn.ModuleList) and len(module) and any(module[0].children()):
                arrival.lists.append(module)
                stack.callback(
                    loan.wrap(module[0], _entering(arrival, module, ids, probes, with_image=with_image))
                )
            if not isinstance(module, nn.ModuleList | nn.ModuleDict):
                stack.callback(loan.hook(module, _keeping(arrival)).remove)
        with suppress(_Arrived), torch.enable_grad(), mode:
            attempted(lambda: loan.model(**{**inputs, **leaves}, use_cache=False))
    return arrival


def stream_at(
    loan: Loan, inputs: Mapping[str, Tensor], layers: nn.ModuleList, mode: AbstractContextManager[Any]
) -> Tensor:
    """What enters the first of some layers for a prompt, float (token, channel); the pass ends there.

    Args:
        loan: The loan of the model.
        inputs: Keyword tensors of its forward, on its device.
        layers: The layers that read the prompt.
        mode: Lasts during the pass.

    Raises:
        Unmeasurable: The pass fails, or does not reach the layers.
    """
    seen: list[Tensor] = []

    def see(forward: Callable[..., Any], *args: Any, **options: Any) -> Any:
        states = _stream((*args, *options.values()), inputs[PROMPT])
        if states is None:
            return forward(*args, **options)
        seen.append(states[0].flatten(1).float())
        raise _Arrived

    end = loan.wrap(layers[0], see)
    try:
        with suppress(_Arrived), mode:
            attempted(lambda: loan.model(**inputs, use_cache=False))
    finally:
        end()
    if not seen:
        raise Unmeasurable("a pass of it does not reach the layers that read its prompt")
    return seen[0]


def _probing(ids: Tensor, probes: list[Tensor]) -> Callable[..., Any]:
    """A hook that adds a probe to what an embedding makes of the prompt's tokens."""
    # Models put another token in place of an image token before they embed it.
    text = ids != ids.flatten().mode().values

    def add(module: nn.Module, args: Any, output: Any) -> Any:
        if not args or not isinstance(args[0], Tensor) or args[0].shape != ids.shape:
            return None
        if text.any() and (args[0] == ids)[text].float().mean() < MOST_TEXT:
            return None
        probes.append(torch.zeros_like(output, requires_grad=True))
        return output + probes[-1]

    return add


def _entering(
    arrival: Arrival, layers: nn.ModuleList, ids: Tensor, probes: list[Tensor], *, with_image: bool
) -> Callable[..., Any]:
    """What happens in place of the first of some layers: the pass ends there, if it is the stream's."""

    def see(forward: Callable[..., Any], *args: Any, **options: Any) -> Any:
        states = _stream((*args, *options.values()), ids)
        if states is not None and states.requires_grad and probes:
            placed = _placed(states, probes, arrival, ids, with_image=with_image)
            if placed is not None:
                arrival.positions, arrival.layers = placed, layers
                arrival.rows = states[0][torch.from_numpy(placed).to(states.device)].flatten(1)
                raise _Arrived
        return forward(*args, **options)

    return see


def _stream(given: Sequence[Any], ids: Tensor) -> Tensor | None:
    """Hidden states of the prompt, (batch, token, ...), if the first of some arguments that may be are."""
    states = next((one for one in given if isinstance(one, Tensor) and one.is_floating_point()), None)
    if states is None or states.ndim < 3:
        return None
    if states.shape[:2] == ids.shape:
        return states
    if states.ndim == 4 and states.shape[1:3] == ids.shape:
        # Several streams, the first axis.
        return states.movedim(0, 2)
    return None


def _placed(
    states: Tensor, probes: list[Tensor], arrival: Arrival, ids: Tensor, *, with_image: bool
) -> Ints | None:
    """Positions that no probe reaches; None where the states depend on no probe, or on none of the images.

    Some models add the image to the embeddings of its tokens: then the probe reaches all, and they are those
    of the prompt's most frequent token. The modules that the states depend on are noted in the same pass.
    """
    noise = torch.rand(states.shape, generator=torch.Generator().manual_seed(0)).to(states)
    outputs = [output for _, output in arrival.outputs]
    wanted = [*probes, *arrival.images, *outputs]
    found = torch.autograd.grad((states * noise).sum(), wanted, retain_graph=True, allow_unused=True)
    reached_by = [one is not None and bool(one.any()) for one in found[len(probes) :]]
    if with_image and not any(reached_by[: len(arrival.images)]):
        return None
    reached = torch.zeros(states.shape[:2], dtype=torch.bool, device=states.device)
    for one in found[: len(probes)]:
        if one is not None:
            reached |= one.abs().flatten(2).amax(dim=-1) > 0
    if not reached.any():
        return None
    if with_image and reached.all():
        reached = ids != ids.flatten().mode().values
    pairs = zip(arrival.outputs, reached_by[len(arrival.images) :], strict=True)
    arrival.reaching = {module for (module, _), reaches in pairs if reaches}
    return np.asarray(torch.nonzero(~reached[0]).flatten().cpu())


def _keeping(arrival: Arrival) -> Callable[..., Any]:
    def keep(module: nn.Module, args: Any, output: Any) -> None:
        whole = output[0] if isinstance(output, tuple) else output
        if isinstance(whole, Tensor) and whole.requires_grad and whole.is_floating_point() and whole.ndim > 1:
            arrival.outputs.append((module, whole))

    return keep
