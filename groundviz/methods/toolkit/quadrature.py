"""Gauss-Legendre quadrature whose first nodes already say something of the whole way."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

GOLDEN = 0.6180339887498949


def scattered(steps: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights on [0, 1], ordered such that the first few already span the whole way."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    order = np.argsort(np.arange(steps) * GOLDEN % 1)
    return torch.from_numpy((nodes[order] + 1) / 2).float(), torch.from_numpy(weights[order] / 2).float()
