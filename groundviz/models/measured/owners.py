"""Which of some rows each number of an earlier tensor feeds, read off gradients.

One backward pass puts the weight one on every row. In each further pass a row has the weight of one digit
of its number, a power of two with a sign. Where a number feeds one row alone, the ratio of its gradients is
that digit: exactly, in every dtype, since a power of two is exact. Where it feeds several, the ratio is no
digit but by chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from groundviz.record.types import Ints

# Digits of base 16: a sign and a power of two from 1/16 to 8, which 16 bits of a float can hold.
POWERS = 8
BASE = 2 * POWERS
LOWEST = -4
# A gradient below this share of the largest is rounding.
FAINT = 1e-3
# How far a ratio may be from a digit, as a share of the digit.
OFF = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Owners:
    """What feeds what.

    Attributes:
        row: int (number,), the row that each number feeds; -1 where it feeds none, or several.
        mixed: Of the numbers that feed something, the share that feeds several rows.
    """

    row: Ints
    mixed: float


def owners(rows: Tensor, early: Tensor) -> Owners:
    """The row that each number of an earlier tensor feeds.

    Cost: one backward pass from `rows` to `early`, and one for each digit of their number: two up
    to 256 rows, three up to 4,096.

    Args:
        rows: (row, channel).
        early: What `rows` was computed from, of any shape; numbers are those of its flattened form.
    """
    # Random signs of the channels: a norm removes what is the same in all of them.
    generator = torch.Generator().manual_seed(0)
    signs = (torch.randint(2, rows.shape[1:], generator=generator) * 2 - 1).to(rows)

    def gradient(weights: Tensor) -> Tensor:
        weighted = weights.to(rows)[:, None] * signs
        found = torch.autograd.grad(rows, early, weighted, retain_graph=True, allow_unused=True)[0]
        if found is None:
            return torch.zeros(early.numel(), dtype=torch.float64, device=early.device)
        return found.double().flatten()

    plain = gradient(torch.ones(len(rows)))
    feeding = plain.abs() > FAINT * plain.abs().max()
    divisor = torch.where(feeding, plain, 1.0)
    row, single = torch.zeros_like(plain, dtype=torch.int64), feeding.clone()
    digits = 0
    while BASE**digits < len(rows):
        digits += 1
    numbers = torch.arange(len(rows))
    for place in range(digits):
        digit = numbers // BASE**place % BASE
        ratio = gradient(_weight(digit)) / divisor
        found = _digit(ratio)
        near = (ratio - _weight(found)).abs() <= OFF * ratio.abs()
        single &= near
        row += found * BASE**place
    single &= row < len(rows)
    row = torch.where(single, row, -1)
    several = int((feeding & ~single).sum()) / max(1, int(feeding.sum()))
    return Owners(np.asarray(row.cpu()), several)


def _weight(digit: Tensor) -> Tensor:
    sign = 1.0 - 2.0 * (digit // POWERS)
    return sign * torch.exp2((digit % POWERS + LOWEST).double())


def _digit(ratio: Tensor) -> Tensor:
    """The digit whose weight is nearest to a ratio."""
    size = ratio.abs().clamp(min=2.0**LOWEST / 2)
    power = (torch.log2(size).round() - LOWEST).clamp(0, POWERS - 1).long()
    return power + POWERS * (ratio < 0).long()
