"""Running sums over random draws, from which a mean and its error follow without any draw being kept."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(slots=True, eq=False)
class Moments:
    """Running sums over draws of vectors, from which their mean and its error follow.

    Attributes:
        count: How many draws were added.
        total: float64 (..., channel), their sum.
        products: float64 (..., channel, channel), the sum of their outer products.
    """

    count: int = 0
    total: Tensor | float = 0.0
    products: Tensor | float = 0.0

    def add(self, draws: Tensor) -> None:
        """Add some draws, (draw, ..., channel)."""
        draws = draws.detach().cpu().double()
        products = torch.einsum("n...i,n...j->...ij", draws, draws)
        # Last, and with nothing between them that could fail: a batch counts as a whole or not at all.
        self.count, self.total, self.products = (
            self.count + len(draws),
            self.total + draws.sum(dim=0),
            self.products + products,
        )

    def length(self) -> tuple[Tensor, Tensor | None]:
        """The L2 norm of the mean vector, (...), and its standard error; None below two draws.

        The error is that of the mean along its own direction, to first order. Where the mean is no
        longer than its error, the norm is biased upwards by about as much.
        """
        mean = torch.as_tensor(self.total) / self.count
        norm = mean.norm(dim=-1)
        if self.count < 2:
            return norm, None
        along = mean / norm.clamp(min=torch.finfo(torch.float64).tiny)[..., None]
        squares = torch.einsum("...i,...ij,...j->...", along, torch.as_tensor(self.products), along)
        variance = (squares - self.count * norm**2) / (self.count - 1)
        return norm, (variance.clamp(min=0) / self.count).sqrt()
