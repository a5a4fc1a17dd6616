"""A tiny GLM-5.3: linear attention, attention to chosen tokens, several streams of hidden states."""

from __future__ import annotations

from typing import Any

import transformers as hf

from groundviz.testing.families.words import random_model, text_config
from tests.zoo.glm import CONTROLS, NAMED, TEMPLATE, eye, numbers
from tests.zoo.kit.patches import square_patches, still_processor


def tiny_glm5_next(seed: int = 0) -> tuple[Any, Any]:
    """GLM-5.3: a layer of linear attention, one that chooses tokens, and one that takes its choice.

    Its image processor leaves most images as large as they are, and fills up cells right and below.

    >>> tiny_glm5_next()[0].config.text_config.indexer_types
    ['full', 'full', 'shared']
    """
    from transformers.models.glm5_next.image_processing_pil_glm5_next import Glm5NextImageProcessorPil
    from transformers.models.glm5_next.processing_glm5_next import Glm5NextProcessor

    config = hf.Glm5NextConfig(
        text_config=_text(), vision_config=eye(projection_intermediate_size=24), **numbers()
    )
    model = random_model(lambda: hf.Glm5NextForConditionalGeneration(config), seed, *CONTROLS)
    # Its image processor counts image tokens, not pixels.
    pixels = square_patches(
        Glm5NextImageProcessorPil, size={"longest_edge": 1}, min_image_tokens=16, max_image_tokens=64
    )
    return model, still_processor(Glm5NextProcessor, pixels, TEMPLATE, *CONTROLS, **NAMED)


def _text() -> dict[str, Any]:
    return {
        **text_config(*CONTROLS, layers=3),
        "num_key_value_heads": 4,
        "layer_types": ["linear_attention", "indexed_attention", "indexed_attention"],
        "indexer_types": ["full", "full", "shared"],
        "mlp_layer_types": ["dense", "sparse", "sparse"],
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 24,
        "q_lora_rank": 16,
        "kv_lora_rank": 16,
        "qk_nope_head_dim": 8,
        "v_head_dim": 8,
        "index_topk": 32,
        "index_kpool": 4,
        "index_head_dim": 8,
        "index_n_heads": 2,
        "linear_head_dim": 8,
        "linear_num_heads": 2,
        "hc_mult": 2,
    }
