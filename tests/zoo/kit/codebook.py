"""Gives a tower and its codebook what training gives: local features, and entries of what the tower makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

# What is left of the weights beside the middle of a convolution.
BESIDE = 0.2


def learn_codebook(quantiser: nn.Module, encode: Callable[[Tensor], Any], shape: tuple[int, ...]) -> None:
    """Take the entries of a codebook from what a tower makes of images of large blots.

    Without it, all images would be the same few entries.

    Args:
        quantiser: Has the codebook as `embedding`, and gets (..., channel, row, col).
        encode: Runs the tower and the quantiser on images.
        shape: Of some images, (..., colour, row, col).
    """
    seen: list[Tensor] = []
    handle = quantiser.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand((*shape[:-2], shape[-2] // 4, shape[-1] // 4), generator=generator) * 2 - 1
    with torch.no_grad():
        encode(coarse.repeat_interleave(4, dim=-2).repeat_interleave(4, dim=-1))
        handle.remove()
        (states,) = seen
        cells = states.movedim(-3, -1).flatten(0, -2)
        entries = quantiser.embedding.weight
        chosen = torch.randperm(len(cells), generator=generator)[: len(entries)]
        entries.copy_(cells[chosen])


def look_straight(tower: nn.Module) -> None:
    """Let overlapping convolutions read the middle of what they read most, as those of trained towers do."""
    for module in tower.modules():
        if isinstance(module, nn.Conv2d) and module.stride == (1, 1) and module.kernel_size == (3, 3):
            weight = module.weight.data
            middle = weight[:, :, 1, 1].clone()
            weight *= BESIDE
            weight[:, :, 1, 1] = middle
