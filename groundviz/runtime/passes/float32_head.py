"""Logits of a 16-bit model in float32: its final norm and output head are computed again.

A bfloat16 logit between 8 and 16 is rounded to steps of 1/16. Hiding a part of the image often changes it
by less. So final norm and output head are computed in float32, from the hidden states of the model's own
16-bit arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear

# Rows of the head that are converted at once, to bound the memory.
WORDS_AT_ONCE = 8192
NARROW = (torch.bfloat16, torch.float16)
# How far a norm in 16 bits may differ from the same in 32, as a part of the largest value.
SAME = 0.02


def widens(head: nn.Module) -> bool:
    """Whether a head is a plain matrix in 16 bits; adapters and quantised heads are not."""
    return type(head) is nn.Linear and head.weight.dtype in NARROW


@dataclass(slots=True, eq=False)
class ExactHead:
    """Hooks on the final norm and the output head of one pass.

    Attributes:
        rows: How many tokens of each item are wanted. Where the head runs on more, because the model
            has no option to leave them out, its logits stay as they are: float32 would double its memory.
        normed: The norm's output for these, in float32; None where the norm is of an unknown kind.
    """

    rows: int
    normed: Tensor | None = None

    def norm(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        """Forward hook on the final norm: keeps its float32 output, and changes nothing."""
        self.normed = None
        if args and args[0].dim() == 3:
            hidden = args[0][:, -self.rows :].float()
            self.normed = normed(module, hidden)

    def head(self, module: Any, args: tuple[Any, ...], logits: Tensor) -> Tensor | None:
        """Forward hook on the output head: logits in float32; a soft cap of the model comes after it."""
        if not args or logits.shape[-2] > self.rows:
            return None
        given, hidden = args[0].float(), self.normed
        # Where the model changes hidden states between norm and head, the head's own input is right.
        if hidden is None or hidden.shape != given.shape or not _alike(hidden, given):
            hidden = given
        words = module.weight.detach().split(WORDS_AT_ONCE)
        wide = torch.cat([linear(hidden, part.float()) for part in words], dim=-1)
        if module.bias is not None:
            wide = wide + module.bias.detach().float()
        return wide


def normed(module: nn.Module, hidden: Tensor) -> Tensor | None:
    """A norm of float32 hidden states; None where the module is not known to take them."""
    if type(module) is nn.LayerNorm:
        weight = _float32(module.weight)
        bias = _float32(module.bias)
        return layer_norm(hidden, module.normalized_shape, weight, bias, module.eps)
    # The RMS norms of transformers compute in float32, and return the dtype of their input.
    if type(module).__name__.endswith("RMSNorm") and type(module) is not nn.RMSNorm:
        found: Tensor = module.forward(hidden)
        return found
    return None


def _float32(weight: Tensor | None) -> Tensor | None:
    return None if weight is None else weight.detach().float()


@torch.no_grad()
def _alike(wide: Tensor, narrow: Tensor) -> bool:
    return bool((wide - narrow).abs().max() <= SAME * narrow.abs().max())
