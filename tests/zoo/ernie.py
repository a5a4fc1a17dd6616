"""Tiny ERNIE 4.5 VL and PaddleOCR-VL, whose prompts are the same."""

from __future__ import annotations

from typing import Any

import transformers as hf

from groundviz.testing.families.words import random_model, vocabulary, word_tokenizer
from tests.zoo.kit.patches import square_patches, still_processor, tower, turned_text

NAMED = {
    "image_token": "<|IMAGE_PLACEHOLDER|>",
    "image_start_token": "<|IMAGE_START|>",
    "image_end_token": "<|IMAGE_END|>",
    "video_token": "<|VIDEO_PLACEHOLDER|>",
    "video_start_token": "<|VIDEO_START|>",
    "video_end_token": "<|VIDEO_END|>",
}
CONTROLS = ("<|begin_of_sentence|>", "<|end_of_sentence|>", *NAMED.values())
TEMPLATE = (
    "<|begin_of_sentence|>{% for message in messages %}{{ message['role'] | capitalize }}: "
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|IMAGE_START|><|IMAGE_PLACEHOLDER|><|IMAGE_END|>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant: {% endif %}"
)


def tiny_ernie4_5_vl_moe(seed: int = 0) -> tuple[Any, Any]:
    """ERNIE 4.5 VL: the second layer has four experts for words and four smaller ones for images.

    >>> tiny_ernie4_5_vl_moe()[0].config.text_config.mlp_layer_types
    ['dense', 'sparse']
    """
    from transformers.models.ernie4_5_vl_moe import (
        image_processing_pil_ernie4_5_vl_moe,
        processing_ernie4_5_vl_moe,
    )

    experts: dict[str, Any] = {
        "moe_num_experts": 4,
        "moe_k": 2,
        "moe_num_shared_experts": 1,
        "moe_intermediate_size": [24, 16],
    }
    ids = vocabulary(*CONTROLS)
    tokens: dict[str, Any] = {f"{name}_id": ids[token] for name, token in NAMED.items()}
    config = hf.Ernie4_5_VLMoeConfig(
        text_config=turned_text(*CONTROLS, sections=(1, 1, 2), tie_word_embeddings=False, **experts),
        vision_config=tower(),
        **tokens,
        tie_word_embeddings=False,
    )
    model = random_model(lambda: hf.Ernie4_5_VLMoeForConditionalGeneration(config), seed, *CONTROLS)
    pixels = square_patches(image_processing_pil_ernie4_5_vl_moe.Ernie4_5_VLMoeImageProcessorPil)
    kind = processing_ernie4_5_vl_moe.Ernie4_5_VLMoeProcessor
    return model, still_processor(kind, pixels, TEMPLATE, *CONTROLS, **NAMED)


def tiny_paddleocr_vl(seed: int = 0) -> tuple[Any, Any]:
    """PaddleOCR-VL: a SigLIP tower for images of any shape, two by two of its patches in a token.

    >>> tiny_paddleocr_vl()[0].config.vision_config.spatial_merge_size
    2
    """
    from transformers.models.paddleocr_vl.image_processing_pil_paddleocr_vl import (
        PaddleOCRVLImageProcessorPil,
    )
    from transformers.models.paddleocr_vl.processing_paddleocr_vl import PaddleOCRVLProcessor

    ids = vocabulary(*CONTROLS)
    eye = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = hf.PaddleOCRVLConfig(
        text_config=turned_text(*CONTROLS, sections=(1, 1, 2), head_dim=8, tie_word_embeddings=False),
        vision_config={**eye, "image_size": 32, "patch_size": 4, "spatial_merge_size": 2},
        image_token_id=ids[NAMED["image_token"]],
        video_token_id=ids[NAMED["video_token"]],
        vision_start_token_id=ids[NAMED["image_start_token"]],
        vision_end_token_id=ids[NAMED["image_end_token"]],
        tie_word_embeddings=False,
    )
    model = random_model(lambda: hf.PaddleOCRVLForConditionalGeneration(config), seed, *CONTROLS)
    words = word_tokenizer(*CONTROLS, **NAMED)
    return model, PaddleOCRVLProcessor(
        square_patches(PaddleOCRVLImageProcessorPil), words, chat_template=TEMPLATE
    )
