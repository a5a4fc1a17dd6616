"""What a tiny random model of some architecture is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from groundviz.runtime.attention.propagation import Flow, Origin

IMAGE = 59  # the image token; the vocabularies have 60
TEXT: dict[str, Any] = {
    "vocab_size": 60,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "bos_token_id": 1,
    "eos_token_id": None,
    "pad_token_id": 0,
}
TOWER: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 16,
    "patch_size": 4,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Architecture:
    """A model, what to run it on, and which modules attend to what.

    Attributes:
        model: In eval mode, on the CPU, float32.
        inputs: Keyword tensors of its forward pass.
        attention: By part ("decoder", "vision", "cross", "encoder", "resampler") the attention
            modules on which the answer depends.
        flows: The streams that the modules of a part connect.
        origins: Where the streams below the text come from.
        layers: What can be checkpointed.
    """

    model: Any
    inputs: Mapping[str, Tensor]
    attention: Mapping[str, tuple[nn.Module, ...]]
    flows: Mapping[str, Flow] = field(default_factory=dict)
    origins: Mapping[str, Origin] = field(default_factory=dict)
    layers: tuple[nn.Module, ...] = ()

    def numbered(self, *parts: str) -> tuple[dict[nn.Module, int], dict[int, Flow]]:
        """Numbers for the modules of some parts (of all if none is named), and their flows by number."""
        chosen = [(module, part) for part in parts or self.attention for module in self.attention[part]]
        numbers = {module: number for number, (module, _) in enumerate(chosen)}
        flows = {number: self.flows.get(part, Flow()) for number, (_, part) in enumerate(chosen)}
        return numbers, flows


def token_ids(cells: int) -> Tensor:
    """Text, then an image's tokens, then text."""
    words = [1, 14, 7], [11, 23, 5, 41, 17, 8, 29, 33]
    return torch.tensor([[*words[0], *[IMAGE] * cells, *words[1]]])


def image() -> Tensor:
    """A random image of 16 by 16 pixels, (1, 3, 16, 16)."""
    return torch.randn(1, 3, 16, 16)


def with_mask(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Inputs with an attention mask that hides nothing."""
    return {**inputs, "attention_mask": torch.ones_like(inputs["input_ids"])}


def decoder_only(
    model: Any, inputs: dict[str, Tensor], tower: Any, origin: Origin, *, decoder: Any = None
) -> Architecture:
    """A model whose tower's tokens take their places in the text of a causal decoder."""
    layers = (decoder or model.model.language_model).layers
    return Architecture(
        model=model,
        inputs=with_mask(inputs),
        attention={
            "decoder": tuple(layer.self_attn for layer in layers),
            "vision": tuple(layer.self_attn for layer in tower),
        },
        flows={"vision": Flow("image", "image")},
        origins={"image": origin},
        layers=tuple(layers),
    )
