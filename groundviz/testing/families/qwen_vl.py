"""Tiny Qwen2-VL, Qwen2.5-VL and Qwen3-VL, with the image processor that they share."""

from __future__ import annotations

from typing import Any

import transformers as hf
from transformers.models.qwen2_5_vl.processing_qwen2_5_vl import Qwen2_5_VLProcessor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.qwen2_vl.processing_qwen2_vl import Qwen2VLProcessor
from transformers.models.qwen3_vl.processing_qwen3_vl import Qwen3VLProcessor

from groundviz.testing.families.still import NO_FILMS, for_stills
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer

NAMED = {"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"}
CONTROLS = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", *NAMED.values())
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}"
    "{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PATCH, MERGED = 4, 2


def tiny_qwen2_vl(seed: int = 0) -> tuple[Any, Any]:
    """Qwen2-VL: image tokens of two by two patches of four by four pixels.

    >>> tiny_qwen2_vl()[0].config.vision_config.spatial_merge_size
    2
    """
    vision = _vision(embed_dim=16, hidden_size=32, mlp_ratio=2)
    config = hf.Qwen2VLConfig(text_config=_text(), vision_config=vision, **token_ids(*CONTROLS))
    model = random_model(lambda: hf.Qwen2VLForConditionalGeneration(config), seed, *CONTROLS)
    return model, _processor(Qwen2VLProcessor)


def tiny_qwen2_5_vl(seed: int = 0) -> tuple[Any, Any]:
    """Qwen2.5-VL: the first layer of the tower attends within windows of two by two image tokens.

    >>> tiny_qwen2_5_vl()[0].config.vision_config.fullatt_block_indexes
    [1]
    """
    vision = _vision(
        hidden_size=16, intermediate_size=24, out_hidden_size=32, window_size=16, fullatt_block_indexes=[1]
    )
    config = hf.Qwen2_5_VLConfig(text_config=_text(), vision_config=vision, **token_ids(*CONTROLS))
    model = random_model(lambda: hf.Qwen2_5_VLForConditionalGeneration(config), seed, *CONTROLS)
    return model, _processor(Qwen2_5_VLProcessor)


def tiny_qwen3_vl(seed: int = 0) -> tuple[Any, Any]:
    """Qwen3-VL: what the first layer of the tower puts out is added behind the first decoder layer.

    >>> tiny_qwen3_vl()[0].config.vision_config.deepstack_visual_indexes
    [0]
    """
    vision = _vision(
        hidden_size=16,
        intermediate_size=24,
        out_hidden_size=32,
        num_position_embeddings=16,
        deepstack_visual_indexes=[0],
    )
    config = hf.Qwen3VLConfig(
        text_config={**_text(), "head_dim": 8}, vision_config=vision, **token_ids(*CONTROLS)
    )
    model = random_model(lambda: hf.Qwen3VLForConditionalGeneration(config), seed, *CONTROLS)
    return model, _processor(Qwen3VLProcessor)


def _processor(kind: Any) -> Any:
    pixels = Qwen2VLImageProcessorPil(
        patch_size=PATCH, merge_size=MERGED, size={"shortest_edge": 32 * 32, "longest_edge": 64 * 64}
    )
    tokenizer = word_tokenizer(*CONTROLS, **NAMED)
    return for_stills(kind)(pixels, tokenizer, NO_FILMS, chat_template=TEMPLATE)


def _vision(**shape: Any) -> dict[str, Any]:
    return {"depth": 2, "num_heads": 2, "patch_size": PATCH, "spatial_merge_size": MERGED, **shape}


def _text() -> dict[str, Any]:
    turning = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [1, 1, 2]}
    return {**text_config(*CONTROLS), "rope_parameters": turning}


def token_ids(*controls: str) -> dict[str, Any]:
    """The tokens that a Qwen's config names.

    Args:
        controls: All control tokens that its tokenizer knows.

    >>> token_ids(*CONTROLS)["image_token_id"] == vocabulary(*CONTROLS)["<|image_pad|>"]
    True
    """
    ids = vocabulary(*controls)
    return {
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
    }
