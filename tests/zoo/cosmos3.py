"""Tiny Cosmos3: the Edge model has a tower of its own, the Omni model's reasoner is a Qwen3-VL."""

from __future__ import annotations

from typing import Any

import transformers as hf
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.qwen3_vl.processing_qwen3_vl import Qwen3VLProcessor

from groundviz.testing.families.qwen_vl import CONTROLS, NAMED, TEMPLATE, token_ids
from groundviz.testing.families.still import NO_FILMS, for_stills
from groundviz.testing.families.words import random_model, text_config, word_tokenizer

PATCH, MERGED = 4, 2
SIZES: dict[str, Any] = {
    "patch_size": PATCH,
    "merge_size": MERGED,
    "size": {"shortest_edge": 32 * 32, "longest_edge": 64 * 64},
}


def tiny_cosmos3_edge(seed: int = 0) -> tuple[Any, Any]:
    """Cosmos3 Edge: image tokens of two by two patches; its patches are channels last.

    >>> tiny_cosmos3_edge()[0].config.vision_config.spatial_merge_size
    2
    """
    from transformers.models.cosmos3_edge.image_processing_pil_cosmos3_edge import (
        Cosmos3EdgeImageProcessorPil,
    )

    vision = {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "patch_size": PATCH,
        "num_patches": 16,
        "spatial_merge_size": MERGED,
    }
    config = hf.Cosmos3EdgeConfig(
        text_config=_text([2, 1, 1]), vision_config=vision, projector_hidden_size=24, **token_ids(*CONTROLS)
    )
    model = random_model(lambda: hf.Cosmos3EdgeForConditionalGeneration(config), seed, *CONTROLS)
    pixels = Cosmos3EdgeImageProcessorPil(**SIZES)
    words = word_tokenizer(*CONTROLS, **NAMED)
    processor = for_stills(hf.Cosmos3EdgeProcessor)(pixels, words, NO_FILMS, chat_template=TEMPLATE)
    # The model turns nothing without them, yet the class leaves them to whoever calls it.
    processor.return_mm_token_type_ids = True
    return model, processor


def tiny_cosmos3_omni(seed: int = 0) -> tuple[Any, Any]:
    """Cosmos3 Omni: a Qwen3-VL in another class, with that family's processor.

    >>> tiny_cosmos3_omni()[0].config.vision_config.deepstack_visual_indexes
    [0]
    """
    vision = {
        "depth": 2,
        "num_heads": 2,
        "hidden_size": 16,
        "intermediate_size": 24,
        "out_hidden_size": 32,
        "patch_size": PATCH,
        "spatial_merge_size": MERGED,
        "num_position_embeddings": 16,
        "deepstack_visual_indexes": [0],
    }
    config = hf.Cosmos3OmniConfig(
        text_config={**_text([1, 1, 2]), "model_type": "qwen3_vl_text"},
        vision_config={**vision, "model_type": "qwen3_vl_vision"},
        **token_ids(*CONTROLS),
    )
    model = random_model(lambda: hf.Cosmos3OmniForConditionalGeneration(config), seed, *CONTROLS)
    pixels = Qwen2VLImageProcessorPil(**SIZES)
    words = word_tokenizer(*CONTROLS, **NAMED)
    return model, for_stills(Qwen3VLProcessor)(pixels, words, NO_FILMS, chat_template=TEMPLATE)


def _text(sections: list[int]) -> dict[str, Any]:
    turning = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": sections}
    return {**text_config(*CONTROLS), "head_dim": 8, "rope_parameters": turning}
