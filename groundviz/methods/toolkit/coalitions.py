"""Shapley values from sets of places and what each leaves out, by least squares, with their errors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Sets to a place, at the least: fewer leave shares undetermined.
LEAST = 4
# What rounding leaves of a singular value that is none.
SINGULAR = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Sets of places, each followed by the set of all others: both are shown, so that half the noise cancels.

    Attributes:
        shown: bool (pair, place), which places the first set of each pair shows.
        weights: float64 (pair,), how much each pair counts.
        exact: Whether these are all pairs there are.
    """

    shown: Tensor
    weights: Tensor
    exact: bool

    @classmethod
    def draw(cls, stream: torch.Generator, places: int, samples: int) -> Pairs:
        """All pairs, where they cost no more than `samples` passes for each place; else random ones.

        A set of k of m places is as likely as its weight in the Shapley kernel, 1 / (k (m - k)) over all
        sets of its size, so that every drawn pair counts alike.
        """
        passes = max(samples, LEAST) * places
        if 2**places - 2 <= passes:
            return cls._all(stream, places)
        sizes = torch.arange(1, places)
        chances = 1 / (sizes * (places - sizes)).double()
        count = passes // 2
        size = sizes[torch.multinomial(chances, count, replacement=True, generator=stream)]
        ranks = torch.stack([torch.randperm(places, generator=stream) for _ in range(count)])
        return cls(ranks < size[:, None], torch.ones(count, dtype=torch.float64), exact=False)

    @classmethod
    def _all(cls, stream: torch.Generator, places: int) -> Pairs:
        # In random order, so that the first of them say something of all when the work is interrupted.
        numbers = torch.randperm(max(0, 2 ** (places - 1) - 1), generator=stream) + 1
        shown = (numbers[:, None] >> torch.arange(places)) & 1 > 0
        size = shown.sum(dim=1).double()
        of_that_size = torch.exp(
            torch.lgamma(torch.tensor(places + 1.0).double())
            - torch.lgamma(size + 1)
            - torch.lgamma(places - size + 1)
        )
        return cls(shown, 1 / (of_that_size * size * (places - size)), exact=True)

    @property
    def passes(self) -> int:
        """How many images are shown, two to a pair."""
        return 2 * len(self.shown)

    def at(self, part: slice) -> Tensor:
        """Which places some of the images show, bool (image, place)."""
        items = torch.arange(part.start, part.stop)
        return self.shown[items // 2] ^ (items % 2 > 0)[:, None]

    def shares(self, scores: Tensor, gain: Tensor) -> tuple[Tensor, Tensor | None] | None:
        """Each place's share of a gain, float64 (place, target), and its standard error.

        Args:
            scores: Of the first images, (image, target); one without its other half is left out.
            gain: What all places together add, (target,): the shares add up to it exactly.

        Returns:
            None where so few pairs leave shares undetermined. No error where all pairs are there, or
            where there are no more than shares. The error is that of least squares whose residuals
            differ in size (White's, with each residual's leverage taken out), a pair counting as one.
        """
        count, places = len(scores) // 2, self.shown.shape[1]
        halves = scores[: 2 * count].double().cpu().reshape(count, 2, scores.shape[1])
        design, weight = self.shown[:count].double() - 0.5, self.weights[:count, None]
        equal = gain.double().cpu() / places
        # Without the mean over places, shares stay free of the sum that they must add up to.
        apart = design - design.mean(dim=1, keepdim=True)
        rest = (halves[:, 0] - halves[:, 1]) / 2 - design.sum(dim=1, keepdim=True) * equal
        square = apart.T @ (weight * apart)
        if torch.linalg.matrix_rank(square, hermitian=True, rtol=SINGULAR) < places - 1:
            return None
        inverse = torch.linalg.pinv(square, hermitian=True, rtol=SINGULAR)
        found = inverse @ (apart.T @ (weight * rest))
        if (self.exact and count == len(self.shown)) or count <= places:
            return found + equal, None
        pulls = apart @ inverse
        leverage = weight[:, 0] * (pulls * apart).sum(dim=1)
        residual = (weight * (rest - apart @ found)) ** 2 / (1 - leverage).clamp(min=SINGULAR)[:, None]
        return found + equal, ((pulls**2).T @ residual).sqrt()
