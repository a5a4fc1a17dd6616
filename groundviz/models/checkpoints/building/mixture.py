"""Med-MoE's mixture of experts: a router's choice of experts, and one expert that always runs.

::

    Mixture                     in place of a decoder layer's dense block
    ├── gate                    Linear(width -> expert) with bias, in float32; softmax; the best `top`
    ├── experts.branches[e]     copies of the dense block; each sees the tokens that chose it
    ├── shared                  one more copy; sees every token
    └── blend                   weighted sum of the chosen experts, plus the shared one

The first expert of a token is the one with the highest probability. The published code finds the
second after adding Gumbel noise to the router's logits, at inference as well, so two runs of it
differ. Here nothing is added unless `routing` is asked to. No token is ever dropped.

Source: Jiang et al., Med-MoE (2024), https://arxiv.org/abs/2404.10237.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

# From the router's logits (batch, position, expert) to what is added before the second choice.
Noise = Callable[[Tensor], Tensor]


class Routes(NamedTuple):
    """Where a gate sends each token: logits and probabilities (..., expert), the rest (..., choice)."""

    logits: Tensor
    probabilities: Tensor
    chosen: Tensor
    weights: Tensor


class Gate(nn.Module):
    """Chooses one or two experts for each token.

    Args:
        width: Channels of a token.
        experts: How many experts there are.
        top: How many each token visits, 1 or 2.
    """

    def __init__(self, width: int, experts: int, top: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(experts, width))
        self.bias = nn.Parameter(torch.zeros(experts))
        self.top = top

    def forward(self, hidden: Tensor, noise: Noise | None = None) -> Routes:
        """Route tokens (..., width); `noise` is what to add to the logits for the second choice."""
        logits = functional.linear(hidden.float(), self.weight.float(), self.bias.float())
        probabilities = logits.softmax(-1)
        best = logits.argmax(-1, keepdim=True)
        if self.top == 1:
            # One expert alone keeps its probability as its weight.
            return Routes(logits, probabilities, best, probabilities.gather(-1, best))
        scores = logits if noise is None else logits + noise(logits)
        second = scores.scatter(-1, best, -torch.inf).argmax(-1, keepdim=True)
        chosen = torch.cat((best, second), dim=-1)
        weights = probabilities.gather(-1, chosen)
        return Routes(logits, probabilities, chosen, weights / weights.sum(-1, keepdim=True))


class Experts(nn.Module):
    """Blocks of which each sees the tokens that chose it."""

    def __init__(self, branches: Iterable[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, hidden: Tensor, chosen: Tensor) -> Tensor:
        """The chosen experts' outputs (..., choice, width) for tokens (..., width)."""
        tokens, choices = hidden.flatten(0, -2), chosen.flatten(0, -2)
        outputs = tokens.new_zeros(*choices.shape, tokens.shape[-1])
        for index, branch in enumerate(self.branches):
            rows, slots = torch.where(choices == index)
            # Autocast makes the branch's numbers narrower than the tokens.
            outputs[rows, slots] = branch(tokens[rows]).to(outputs)
        return outputs.view(*chosen.shape, -1)


class Blend(nn.Module):
    """Adds the branches up; it has no weights and exists so that one hook sees all of them."""

    def forward(self, routes: Routes, outputs: Tensor, shared: Tensor) -> Tensor:
        """Tokens (..., width) from the routed outputs (..., choice, width) and the shared one."""
        weights = routes.weights.to(outputs.dtype)
        return (weights.unsqueeze(-1) * outputs).sum(-2) + shared


class Mixture(nn.Module):
    """A block whose experts differ from token to token; takes the place of a dense block.

    Args:
        dense: The block that all experts are copies of; it becomes the shared expert.
        width: Channels of a token.
        experts: How many experts there are.
        top: How many each token visits, 1 or 2.
        layer: Number of the decoder layer it stands in.

    >>> Mixture(nn.Linear(8, 8), width=8, experts=4, top=2)(torch.ones(1, 3, 8)).shape
    torch.Size([1, 3, 8])
    """

    def __init__(self, dense: nn.Module, *, width: int, experts: int, top: int, layer: int = 0) -> None:
        super().__init__()
        self.layer = layer
        self.gate = Gate(width, experts, top)
        self.experts = Experts(copy.deepcopy(dense) for _ in range(experts))
        self.shared = dense
        self.blend = Blend()

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Tokens (batch, position, width), each changed by its own experts and the shared one."""
        routes = self.gate(hidden_states)
        outputs = self.experts(hidden_states, routes.chosen)
        mixed: Tensor = self.blend(routes, outputs, self.shared(hidden_states))
        return mixed
