"""Towers in the place of timm's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn


class ConvolutionTower(nn.Module):
    """A stand-in for a convolutional tower of timm: two stages, a map of channels as its result.

    Args:
        width: Channels of the map.
        stride: Pixels to a cell of the map, a multiple of four.

    >>> ConvolutionTower(16, 8).forward_features(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 16, 4, 4])
    """

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, kernel_size=4, stride=4)
        self.stage = nn.Conv2d(width, width, kernel_size=3, stride=stride // 4, padding=1)

    def forward_features(self, pixels: Tensor, **_: Any) -> Tensor:
        """The map of an image, of shape (images, width, rows, columns)."""
        mapped: Tensor = self.stage(nn.functional.gelu(self.stem(pixels)))
        return mapped

    def forward_head(self, mapped: Tensor) -> Tensor:
        """The mean over the map, of shape (images, width)."""
        return mapped.mean(dim=(2, 3))


class TransformerTower(nn.Module):
    """A stand-in for a vision transformer of timm, with a class token in front of its patches.

    Args:
        width: Of the hidden states.
        side: Of the square image, in pixels.
        patch: Side of a patch, in pixels.

    >>> TransformerTower(16, 24, 4).forward_features(torch.zeros(1, 3, 24, 24)).shape
    torch.Size([1, 37, 16])
    """

    def __init__(self, width: int, side: int, patch: int) -> None:
        super().__init__()
        self.patch_embed = nn.Conv2d(3, width, kernel_size=patch, stride=patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + (side // patch) ** 2, width))
        layers = [
            nn.TransformerEncoderLayer(width, 2, 24, dropout=0.0, batch_first=True, norm_first=True)
            for _ in range(2)
        ]
        self.blocks = nn.Sequential(*layers)

    def forward_features(self, pixels: Tensor, **_: Any) -> Tensor:
        """The class token and the patches, of shape (images, 1 + patches, width)."""
        patches = self.patch_embed(pixels).flatten(2).transpose(1, 2)
        first = self.cls_token.expand(len(patches), -1, -1)
        states: Tensor = self.blocks(torch.cat([first, patches], dim=1) + self.pos_embed)
        return states

    def forward_head(self, states: Tensor) -> Tensor:
        """The class token, of shape (images, width)."""
        return states[:, 0]


@contextmanager
def timm_makes(tower: Callable[[], nn.Module]) -> Iterator[None]:
    """While it is open, transformers' wrapper of timm wraps this tower; timm need not be installed.

    Args:
        tower: Makes the stand-in.

    >>> import transformers as hf
    >>> with timm_makes(lambda: ConvolutionTower(16, 8)):
    ...     wrapper = hf.AutoModel.from_config(hf.TimmWrapperConfig())
    >>> type(wrapper.timm_model).__name__
    'ConvolutionTower'
    """
    from transformers.models.timm_wrapper import modeling_timm_wrapper as wrapper

    module: Any = wrapper
    absent = object()
    names = {
        "timm": SimpleNamespace(create_model=lambda *_, **__: tower(), __version__="1.0"),
        "requires_backends": lambda *_: None,
    }
    before = {name: getattr(module, name, absent) for name in names}
    for name, stand_in in names.items():
        setattr(module, name, stand_in)
    try:
        yield
    finally:
        for name, old in before.items():
            if old is absent:
                delattr(module, name)
            else:
                setattr(module, name, old)
