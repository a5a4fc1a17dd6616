"""How far two computations of the same numbers by one model may be apart."""

from __future__ import annotations

import torch

# The largest difference that rounding explains, in float32 and in shorter dtypes. A wrong mask or scale makes
# a far larger one.
ROUNDING, SHORT_ROUNDING = 1e-3, 5e-2


def most_rounding(dtype: torch.dtype) -> float:
    """The largest difference that rounding explains, as a share of the spread of the numbers."""
    if dtype == torch.float32:
        return ROUNDING
    return SHORT_ROUNDING
