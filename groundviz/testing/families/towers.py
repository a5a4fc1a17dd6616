"""The tiny vision towers of several families."""

from __future__ import annotations

from typing import Any

import transformers as hf


def siglip(side: int, patch: int) -> hf.SiglipVisionConfig:
    """A SigLIP tower of two layers, for square images; it has no class token.

    >>> siglip(16, 4).image_size
    16
    """
    return hf.SiglipVisionConfig(**shape(), image_size=side, patch_size=patch, vision_use_head=False)


def clip(side: int, patch: int) -> hf.CLIPVisionConfig:
    """A CLIP tower of three layers, for square images; its class token stands before the patches.

    >>> clip(16, 4).num_hidden_layers
    3
    """
    return hf.CLIPVisionConfig(**shape(layers=3), image_size=side, patch_size=patch, projection_dim=16)


def pixtral(longest: int, patch: int) -> hf.PixtralVisionConfig:
    """A Pixtral tower of two layers, for images of any shape.

    >>> pixtral(32, 4).head_dim
    8
    """
    return hf.PixtralVisionConfig(**shape(), image_size=longest, patch_size=patch)


def shape(layers: int = 2) -> dict[str, Any]:
    """What is the same in all of them.

    >>> shape()["hidden_size"]
    16
    """
    return {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
    }
