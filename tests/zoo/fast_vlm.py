"""A tiny FastVLM: the cells of a convolutional tower are the image tokens."""

from __future__ import annotations

from typing import Any

import transformers as hf
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer
from tests.zoo.kit.templates import chatml
from tests.zoo.kit.timm_stand_in import ConvolutionTower, timm_makes

SIDE, PATCH = 48, 8
CONTROLS = ("<|im_start|>", "<|im_end|>")
TEMPLATE = chatml("<image>\n")


def tiny_fast_vlm(seed: int = 0) -> tuple[Any, Any]:
    """FastVLM: six by six cells of eight pixels; a stand-in takes the place of timm's FastViT.

    >>> tiny_fast_vlm()[0].config.image_seq_length
    36
    """
    config = hf.FastVlmConfig(
        text_config={"model_type": "qwen2", **text_config(*CONTROLS)},
        vision_config={"model_type": "timm_wrapper", "architecture": "fastvit_mci3", "hidden_size": 16},
        image_token_index=vocabulary()["<image>"],
        image_seq_length=(SIDE // PATCH) ** 2,
    )
    with timm_makes(lambda: ConvolutionTower(16, PATCH)):
        model = random_model(lambda: hf.FastVlmForConditionalGeneration(config), seed, *CONTROLS)
    pixels = CLIPImageProcessorPil(
        size={"shortest_edge": SIDE},
        crop_size={"height": SIDE, "width": SIDE},
        image_mean=[0.0] * 3,
        image_std=[1.0] * 3,
    )
    words = word_tokenizer(*CONTROLS)
    return model, hf.LlavaProcessor(
        pixels, words, patch_size=PATCH, vision_feature_select_strategy="full", chat_template=TEMPLATE
    )
