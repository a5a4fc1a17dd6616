"""Whether what a map foretells happens: captum's infidelity, on shares of the answer's log-probability."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import torch
from torch import Tensor

from groundviz.methods.captum import arguments
from groundviz.methods.captum.inputs import Scorer


def infidelity(
    score: Callable[[Tensor], Tensor],
    image: Tensor,
    baseline: Tensor,
    at: Tensor,
    shares: Tensor,
    *,
    samples: int,
) -> float:
    """The mean squared difference between what hiding pieces should cost and what it costs, in squared nats.

    Half of the pieces, chosen at random, give way to the baseline. Their shares should add up to what
    the answer's log-probability loses. Zero is best. It draws from torch's own random stream.

    Args:
        score: Images (batch, cell, channel) to the answer's scalar, (batch,).
        image: (1, cell, channel).
        baseline: Likewise, with nothing to be seen.
        at: int (cell,), which piece each cell belongs to.
        shares: float (piece,), what each piece is said to add, in nats.
        samples: How often pieces are hidden; as many forward passes, and as many again.

    Raises:
        MissingExtra: captum is not installed.

    >>> image, nothing, at = torch.ones(1, 4, 1), torch.zeros(1, 4, 1), torch.tensor([0, 0, 1, 1])
    >>> score = lambda cells: cells.sum(dim=(1, 2))
    >>> infidelity(score, image, nothing, at, torch.tensor([2.0, 2.0]), samples=8)
    0.0
    """
    arguments.attr()
    metrics = import_module("captum.metrics")

    def shown(share: Tensor) -> Tensor:
        # Pieces that are shown, 1 or 0, on the cells that belong to them.
        return score(torch.lerp(baseline, image, share[:, at.to(share.device), None]))

    def hide(share: Tensor) -> tuple[Tensor, Tensor]:
        hidden = torch.bernoulli(torch.full_like(share, 0.5))
        return hidden, share - hidden

    whole = torch.ones(1, len(shares), device=image.device)
    most = min(samples, score.at_once) if isinstance(score, Scorer) else samples
    found = metrics.infidelity(
        shown,
        hide,
        whole,
        shares.to(whole)[None],
        n_perturb_samples=samples,
        max_examples_per_batch=most,
    )
    return float(found[0])
