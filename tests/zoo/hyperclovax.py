"""A tiny HyperCLOVA X Vision 2: the tower of Qwen2.5-VL, and a decoder that knows no places on the image."""

from __future__ import annotations

from typing import Any

import transformers as hf
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from groundviz.testing.families.still import NO_FILMS, for_stills
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer
from tests.zoo.kit.templates import chatml

PATCH, MERGED = 4, 2
NAMED = {"image_token": "<|IMAGE_PAD|>", "video_token": "<|VIDEO_PAD|>"}
CONTROLS = ("<|im_start|>", "<|im_end|>", "<|image_start|>", "<|image_end|>", *NAMED.values())


def tiny_hyperclovax_vision_v2(seed: int = 0) -> tuple[Any, Any]:
    """HyperCLOVA X Vision 2: the first layer of the tower attends within windows of two by two image tokens.

    >>> tiny_hyperclovax_vision_v2()[0].config.vision_config.fullatt_block_indexes
    [1]
    """
    ids = vocabulary(*CONTROLS)
    text = text_config(*CONTROLS)
    config = hf.HyperCLOVAXVisionV2Config(
        text_config=hf.HyperCLOVAXConfig(**text, head_dim=8),
        vision_config={
            "model_type": "qwen2_5_vl_vision",
            "depth": 2,
            "num_heads": 2,
            "hidden_size": 16,
            "intermediate_size": 24,
            "out_hidden_size": text["hidden_size"],
            "patch_size": PATCH,
            "spatial_merge_size": MERGED,
            "window_size": 16,
            "fullatt_block_indexes": [1],
        },
        image_token_id=ids["<|IMAGE_PAD|>"],
        video_token_id=ids["<|VIDEO_PAD|>"],
        tie_word_embeddings=False,
    )
    model = random_model(lambda: hf.HyperCLOVAXVisionV2ForConditionalGeneration(config), seed, *CONTROLS)
    pixels = Qwen2VLImageProcessorPil(
        patch_size=PATCH, merge_size=MERGED, size={"shortest_edge": 32 * 32, "longest_edge": 64 * 64}
    )
    template = chatml("<|image_start|><|IMAGE_PAD|><|image_end|>")
    words = word_tokenizer(*CONTROLS, **NAMED)
    processor = for_stills(hf.HyperCLOVAXVisionV2Processor)(pixels, words, NO_FILMS, chat_template=template)
    return model, processor
