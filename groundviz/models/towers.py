"""The modules of models that are built of a vision tower, a projector and a language model."""

from __future__ import annotations

from typing import Any

from groundviz.runtime.sites import Parts


def parts_of(model: Any, chosen: int | list[int] = -1) -> Parts:
    """The modules that methods read.

    Args:
        model: Has `model.vision_tower`, `model.multi_modal_projector` and a decoder.
        chosen: Which of the tower's hidden states go on to the projector; entry 0 is what goes
            into its first layer.

    >>> from groundviz.testing.tiny import tiny_llava
    >>> len(parts_of(tiny_llava(layers=3), -2).vision_layers)
    2
    """
    layers = tower_layers(model.model.vision_tower)
    deepest = max(k % (len(layers) + 1) for k in (chosen if isinstance(chosen, list) else [chosen]))
    decoder = model.get_decoder()
    decoder = getattr(decoder, "language_model", decoder)
    return Parts(
        vision_layers=tuple(layers[:deepest]),
        vision_attention=tuple(attention_of(layer) for layer in layers[:deepest]),
        projector=model.model.multi_modal_projector,
        decoder_layers=tuple(decoder.layers),
        decoder_attention=tuple(layer.self_attn for layer in decoder.layers),
        # Phi-2 has another name for it.
        final_norm=getattr(decoder, "norm", None) or decoder.final_layernorm,
        output_head=model.get_output_embeddings(),
    )


def tower_layers(tower: Any) -> Any:
    """The layers of a vision tower, first one first."""
    tower = getattr(tower, "vision_model", tower)
    encoder = getattr(tower, "encoder", None) or tower.transformer
    return encoder.layers if hasattr(encoder, "layers") else encoder.layer


def attention_of(layer: Any) -> Any:
    """The module of a vision layer that attends; older releases wrap DINOv2's once more."""
    module = layer.self_attn if hasattr(layer, "self_attn") else layer.attention
    return getattr(module, "attention", module)
