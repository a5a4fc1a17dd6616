"""The last steps of a model in 16 bits, computed in 32: scores are differences that 16 bits round away.

A logit in bfloat16 has steps of 1/16 where logits lie between 8 and 16. What an answer loses when a part
of the image is hidden is often less. Final norm and output head are computed again in float32, from the
same hidden states; these stay as the model's own arithmetic leaves them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear

# Rows of the head that are widened at once: as many bytes as a few hidden states.
WORDS_AT_ONCE = 8192
NARROW = (torch.bfloat16, torch.float16)
# By how much, as a share of the largest value, a norm in 16 bits may differ from the same in 32.
SAME = 0.02


def widens(head: nn.Module) -> bool:
    """Whether a head is a plain matrix in 16 bits: adapters and quantised heads compute in their own way."""
    return type(head) is nn.Linear and head.weight.dtype in NARROW


@dataclass(slots=True, eq=False)
class ExactHead:
    """Hooks on the final norm and the output head of one pass.

    Attributes:
        rows: How many tokens of each item are asked for. A head that is run on more, because the model
            has no way of leaving them out, is left as it is: it would need twice its memory.
        normed: What the norm puts out for these, in float32; None where the norm is of an unknown kind.
    """

    rows: int
    normed: Tensor | None = None

    def norm(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        """Be a forward hook on the final norm, which only looks."""
        hidden = args[0][:, -self.rows :].float() if args and args[0].dim() == 3 else None
        self.normed = None if hidden is None else _normed(module, hidden)

    def head(self, module: Any, args: tuple[Any, ...], logits: Tensor) -> Tensor | None:
        """Be a forward hook on the output head: logits in float32, for a soft cap to go on with."""
        if not args or logits.shape[-2] > self.rows:
            return None
        given, hidden = args[0].float(), self.normed
        # A model that does something between its norm and its head gets what it gave.
        if hidden is None or hidden.shape != given.shape or not _alike(hidden, given):
            hidden = given
        words = module.weight.detach().split(WORDS_AT_ONCE)
        wide = torch.cat([linear(hidden, part.float()) for part in words], dim=-1)
        return wide if module.bias is None else wide + module.bias.detach().float()


def _normed(module: nn.Module, hidden: Tensor) -> Tensor | None:
    """What a norm makes of float32 hidden states; None where it is not known to take them."""
    if type(module) is nn.LayerNorm:
        weight, bias = (None if one is None else one.detach().float() for one in (module.weight, module.bias))
        return layer_norm(hidden, module.normalized_shape, weight, bias, module.eps)
    # Those of transformers compute in float32 themselves, and give back what they were given.
    if type(module).__name__.endswith("RMSNorm") and type(module) is not nn.RMSNorm:
        found: Tensor = module.forward(hidden)
        return found
    return None


@torch.no_grad()
def _alike(wide: Tensor, narrow: Tensor) -> bool:
    return bool((wide - narrow).abs().max() <= SAME * narrow.abs().max())
