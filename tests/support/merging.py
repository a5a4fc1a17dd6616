"""Tiny random models that put image tokens among the text's: decoders with self-attention alone.

Grouped heads, sliding windows, images that see both ways, towers that are called once per window.
"""

from __future__ import annotations

from typing import Any

import torch
import transformers as hf

from groundviz.runtime.attention.propagation import Flow, Origin
from groundviz.testing.families.words import randomized
from tests.support.architecture import (
    IMAGE,
    TEXT,
    TOWER,
    Architecture,
    decoder_only,
    image,
    token_ids,
    with_mask,
)


def llava_llama() -> Architecture:
    """LLaVA: SigLIP tower, Llama decoder with grouped heads."""
    return _llava(hf.LlamaConfig(**TEXT))


def llava_qwen2() -> Architecture:
    """LLaVA: CLIP tower whose class token is dropped, Qwen2 decoder."""
    return _llava(hf.Qwen2Config(**TEXT), clip=True)


def llava_mistral() -> Architecture:
    """LLaVA: Mistral decoder with a window of eight tokens."""
    return _llava(hf.MistralConfig(**TEXT, sliding_window=8))


def gemma3() -> Architecture:
    """Gemma 3: a sliding and a full layer, normed queries, image tokens that see both ways."""
    text = hf.Gemma3TextConfig(
        **TEXT,
        head_dim=8,
        sliding_window=8,
        query_pre_attn_scalar=8,
        layer_types=["sliding_attention", "full_attention"],
    )
    tower = hf.SiglipVisionConfig(**TOWER, vision_use_head=False)
    config = hf.Gemma3Config(
        text_config=text,
        vision_config=tower,
        mm_tokens_per_image=4,
        image_token_index=IMAGE,
        boi_token_index=57,
        eoi_token_index=58,
    )
    model = randomized(hf.Gemma3ForConditionalGeneration(config))
    ids = token_ids(4)
    inputs = {"input_ids": ids, "pixel_values": image(), "token_type_ids": (ids == IMAGE).long()}
    # Each image token is the average of two by two patches.
    cells = torch.arange(16)
    pooled = 3 + cells // 8 * 2 + cells % 4 // 2
    return decoder_only(model, inputs, model.model.vision_tower.encoder.layers, Origin("text", pooled))


def smolvlm() -> Architecture:
    """SmolVLM: each image token is four patches side by side."""
    config = hf.SmolVLMConfig(
        text_config=hf.LlamaConfig(**TEXT),
        vision_config=hf.models.smolvlm.configuration_smolvlm.SmolVLMVisionConfig(**TOWER),
        image_token_id=IMAGE,
        scale_factor=2,
    )
    model = randomized(hf.SmolVLMForConditionalGeneration(config))
    cells = torch.arange(16)
    merged = 3 + cells // 8 * 2 + cells % 4 // 2
    inputs = {"input_ids": token_ids(4), "pixel_values": image()[None]}
    tower = model.model.vision_model.encoder.layers
    return decoder_only(model, inputs, tower, Origin("text", merged), decoder=model.model.text_model)


def qwen2_vl() -> Architecture:
    """Qwen2-VL: two images, each a call of its own in every layer of the tower."""
    config = hf.Qwen2VLConfig(
        text_config=_qwen_text(),
        vision_config={
            "depth": 2,
            "embed_dim": 16,
            "hidden_size": 32,
            "num_heads": 2,
            "mlp_ratio": 2,
            "patch_size": 4,
            "spatial_merge_size": 2,
        },
        **_qwen_tokens(),
    )
    return _qwen(hf.Qwen2VLForConditionalGeneration(config), [[1, 4, 4], [1, 2, 4]])


def qwen2_5_vl() -> Architecture:
    """Qwen2.5-VL: the first layer of the tower looks within windows, each a call of its own."""
    config = hf.Qwen2_5_VLConfig(
        text_config=_qwen_text(),
        vision_config={
            "depth": 2,
            "hidden_size": 16,
            "intermediate_size": 24,
            "num_heads": 2,
            "patch_size": 4,
            "spatial_merge_size": 2,
            "window_size": 16,
            "out_hidden_size": 32,
            "fullatt_block_indexes": [1],
        },
        **_qwen_tokens(),
    )
    return _qwen(hf.Qwen2_5_VLForConditionalGeneration(config), [[1, 6, 8]])


def _llava(text: Any, *, clip: bool = False) -> Architecture:
    shape = {**TOWER, "num_hidden_layers": 3}
    config = hf.LlavaConfig(
        text_config=text,
        vision_config=hf.CLIPVisionConfig(**shape)
        if clip
        else hf.SiglipVisionConfig(**shape, vision_use_head=False),
        image_token_index=IMAGE,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default" if clip else "full",
    )
    model = randomized(hf.LlavaForConditionalGeneration(config))
    cells = torch.arange(3, 19)
    if clip:
        cells = torch.cat([torch.tensor([-1]), cells])
    # The image is the last-but-one layer's output.
    tower = model.model.vision_tower.encoder.layers[:-1]
    inputs = {"input_ids": token_ids(16), "pixel_values": image()}
    return decoder_only(model, inputs, tower, Origin("text", cells))


def _qwen(model: Any, grids: list[list[int]]) -> Architecture:
    randomized(model)
    sizes = torch.tensor(grids)
    patches = int(sizes.prod(dim=1).sum())
    images = [token for size in sizes.prod(dim=1) for token in (57, *[IMAGE] * (int(size) // 4), 56)]
    ids = torch.tensor([[1, *images, 23, 5, 41, 17, 8, 29, 33]])
    inputs = {
        "input_ids": ids,
        "pixel_values": torch.randn(patches, 3 * 2 * 4 * 4),
        "image_grid_thw": sizes,
        "mm_token_type_ids": (ids == IMAGE).int(),
    }
    layers = model.model.language_model.layers
    return Architecture(
        model=model,
        inputs=with_mask(inputs),
        attention={
            "decoder": tuple(layer.self_attn for layer in layers),
            "vision": tuple(block.attn for block in model.model.visual.blocks),
        },
        flows={"vision": Flow("patches", "patches")},
        layers=tuple(layers),
    )


def _qwen_text() -> dict[str, Any]:
    mrope = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [1, 1, 2]}
    return {**TEXT, "rope_parameters": mrope}


def _qwen_tokens() -> dict[str, Any]:
    return {
        "image_token_id": IMAGE,
        "video_token_id": 58,
        "vision_start_token_id": 57,
        "vision_end_token_id": 56,
    }
