"""Finds the modules of a model that has a vision tower, a projector and a language model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from torch import nn

from groundviz.runtime.inputs.sites import Parts

# The names of the attention module in a layer, and of the norm after the last layer of a decoder.
ATTENTION = ("self_attn", "cross_attn", "attention", "attn")
FINAL_NORMS = ("norm", "final_layernorm", "final_layer_norm")


def parts_of(model: Any, chosen: int | list[int] = -1) -> Parts:
    """The modules that methods read.

    Args:
        model: Has `model.vision_tower`, `model.multi_modal_projector` and a decoder.
        chosen: Which of the tower's hidden states the projector reads, by index; entry 0 is the input of
            the first layer.

    >>> from groundviz.testing.tiny.llava import tiny_llava
    >>> len(parts_of(tiny_llava(layers=3), -2).vision_layers)
    2
    """
    layers = tower_layers(model.model.vision_tower)
    states = chosen
    if not isinstance(states, list):
        states = [states]
    # Negative indices count from the last hidden state; layers beyond the deepest one change nothing.
    deepest = max(state % (len(layers) + 1) for state in states)
    decoder = model.get_decoder()
    return parts_from(
        model,
        vision=layers[:deepest],
        projector=model.model.multi_modal_projector,
        decoder=getattr(decoder, "language_model", decoder),
    )


def parts_from(model: Any, *, vision: Iterable[Any], projector: Any, decoder: Any, **more: Any) -> Parts:
    """The modules that methods read, given what differs from family to family.

    Args:
        model: Has an output head.
        vision: The layers of the vision tower whose output reaches the answer, first one first.
        projector: As in `Parts`.
        decoder: Has `layers`, and a norm behind them.
        more: Further fields of `Parts`.
    """
    layers = tuple(vision)
    return Parts(
        vision_layers=layers,
        vision_attention=tuple(map(attention_of, layers)),
        projector=projector,
        decoder_layers=tuple(decoder.layers),
        decoder_attention=tuple(map(attention_of, decoder.layers)),
        final_norm=_first(decoder, FINAL_NORMS),
        output_head=model.get_output_embeddings(),
        **more,
    )


def no_parts(*, unknown: str = "", opaque: str = "") -> Parts:
    """No module at all, and why: none is known, or none of them has to do with places in the image."""
    return Parts(
        vision_layers=(),
        vision_attention=(),
        projector=nn.Identity(),
        decoder_layers=(),
        decoder_attention=(),
        final_norm=nn.Identity(),
        output_head=nn.Identity(),
        unknown=unknown,
        opaque=opaque,
    )


def tower_layers(tower: Any) -> Any:
    """The layers of a vision tower, first one first."""
    tower = getattr(tower, "vision_model", tower)
    encoder = getattr(tower, "encoder", None) or tower.transformer
    return encoder.layers if hasattr(encoder, "layers") else encoder.layer


def attention_of(layer: Any) -> Any:
    """The attention module of a layer."""
    module = _first(layer, ATTENTION)
    # Older releases of transformers wrap the module of DINOv2 in another one.
    return getattr(module, "attention", module)


def _first(module: Any, names: Sequence[str]) -> Any:
    return next(getattr(module, name) for name in names if hasattr(module, name))
