"""Which experts the tokens of a mixture-of-experts model visit, read while the model runs.

::

    with routing(vlm.model) as seen:
        vlm.model(**inputs)
    first = seen[0].chosen[0, :, 0]                 each token's first expert in the first mixture
    first[grid.positions].reshape(grid.rows, -1)    those of the image, for a grid of the prompt

A choice of experts is no attribution: it says which weights a token met, and nothing of what the
answer owes to that token. The gates were trained apart from the answers, so the image's tokens
may all go the same way; and how much the shared expert adds to every token is in its norms.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from groundviz.errors import UnsupportedModel
from groundviz.models.checkpoints.building.mixture import Mixture, Noise, Routes
from groundviz.record.types import Floats, Ints
from groundviz.runtime.loan.guard import Borrow, Loan, borrow


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Routing:
    """What one mixture did with each token in one forward pass.

    Attributes:
        layer: Number of the decoder layer.
        logits: The router's, float (batch, position, expert), without noise.
        probabilities: Their softmax.
        chosen: The experts that were visited, best first, int (batch, position, choice).
        weights: Of their outputs, float (batch, position, choice); two weights sum to 1.
        expert_norms: Length of what each chosen expert adds, weight included; as `weights`.
        shared_norms: Length of what the shared expert adds, float (batch, position).
    """

    layer: int
    logits: Floats
    probabilities: Floats
    chosen: Ints
    weights: Floats
    expert_norms: Floats
    shared_norms: Floats


def routing(model: nn.Module, *, noise: Noise | None = None) -> Borrow[list[Routing]]:
    """What every mixture of a model routes where, pass by pass and layer by layer, while a block runs.

    The block borrows the model, as an explanation does; afterwards the model is bit-identical.

    Args:
        model: A transformers module with mixtures of experts.
        noise: What to add to the router's logits for the second choice, such as `gumbel(generator)`
            or `replay(draws)`. Nothing when not given.

    Raises:
        UnsupportedModel: The model has no mixture of experts.

    >>> model = nn.Sequential(Mixture(nn.Linear(8, 8), width=8, experts=4, top=2))
    >>> with routing(model) as seen:
    ...     _ = model(torch.ones(1, 3, 8))
    >>> [(entry.layer, entry.chosen.shape) for entry in seen]
    [(0, (1, 3, 2))]
    """
    return borrow(model, hand_out=lambda loan: watch(loan, noise=noise))


def watch(loan: Loan, *, noise: Noise | None = None) -> list[Routing]:
    """As `routing`, for a model that is borrowed already: a list that grows until the loan ends.

    Raises:
        UnsupportedModel: The model has no mixture of experts.
    """
    mixtures = [module for module in loan.model.modules() if isinstance(module, Mixture)]
    if not mixtures:
        raise UnsupportedModel(
            f"{type(loan.model).__name__} has no routing: none of its layers is a mixture of experts. "
            "Load a Med-MoE checkpoint."
        )
    seen: list[Routing] = []
    for mixture in mixtures:
        loan.hook(mixture.blend, lambda _, args, __, layer=mixture.layer: seen.append(_routing(layer, *args)))
        if noise is not None:
            loan.wrap(mixture.gate, lambda forward, hidden: forward(hidden, noise))
    return seen


def gumbel(generator: torch.Generator) -> Noise:
    """Standard Gumbel noise, as the published code draws it, from a given stream.

    >>> gumbel(torch.Generator().manual_seed(0))(torch.zeros(1, 3, 4)).shape
    torch.Size([1, 3, 4])
    """

    def draw(logits: Tensor) -> Tensor:
        exponential = torch.empty(logits.shape, device=generator.device).exponential_(generator=generator)
        return -exponential.log().to(logits.device)

    return draw


def replay(draws: Iterable[Tensor]) -> Noise:
    """Noise that was drawn before: one tensor for each pass through each mixture, in that order.

    >>> replay([torch.ones(3, 4)])(torch.zeros(1, 3, 4)).sum()
    tensor(12.)
    """
    following = iter(draws)

    def take(logits: Tensor) -> Tensor:
        draw = next(following, None)
        if draw is None or draw.numel() != logits.numel():
            found = "none is left" if draw is None else f"the next has shape {tuple(draw.shape)}"
            raise ValueError(
                f"The noise does not fit the pass: {found}, and the router made logits of shape "
                f"{tuple(logits.shape)}. Give one tensor for each mixture and forward pass."
            )
        return draw.reshape(logits.shape).to(logits)

    return take


def _routing(layer: int, routes: Routes, outputs: Tensor, shared: Tensor) -> Routing:
    added = routes.weights * outputs.float().norm(dim=-1)
    return Routing(
        layer=layer,
        logits=_numbers(routes.logits),
        probabilities=_numbers(routes.probabilities),
        chosen=_numbers(routes.chosen),
        weights=_numbers(routes.weights),
        expert_norms=_numbers(added),
        shared_norms=_numbers(shared.float().norm(dim=-1)),
    )


def _numbers(tensor: Tensor) -> Any:
    return np.asarray(tensor.detach().cpu())
