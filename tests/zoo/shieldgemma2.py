"""A tiny ShieldGemma 2: a Gemma 3 that is asked whether an image breaks a policy."""

from __future__ import annotations

from typing import Any

import transformers as hf
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

from groundviz.testing.families.gemma3 import CONTROLS, SIDE, TEMPLATE
from groundviz.testing.families.towers import siglip
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer


def tiny_shieldgemma2(seed: int = 0) -> tuple[Any, Any]:
    """ShieldGemma 2: four by four image tokens. Its processor writes the prompt itself.

    Whatever text it is given, it asks about each of its policies, one row for a policy. Here, it has one.

    >>> tiny_shieldgemma2()[1].policy_definitions
    {'nodule': 'is there a nodule?'}
    """
    ids = vocabulary(*CONTROLS)
    text = hf.Gemma3TextConfig(
        **text_config(*CONTROLS),
        head_dim=8,
        query_pre_attn_scalar=8,
        sliding_window=8,
        layer_types=["sliding_attention", "full_attention"],
        tie_word_embeddings=False,
    )
    config = hf.ShieldGemma2Config(
        text_config=text,
        vision_config=siglip(SIDE, patch=2),
        mm_tokens_per_image=16,
        image_token_index=ids["<image_soft_token>"],
        boi_token_index=ids["<start_of_image>"],
        eoi_token_index=ids["<end_of_image>"],
    )
    model = random_model(lambda: hf.AutoModelForImageTextToText.from_config(config), seed, *CONTROLS)
    named = {
        "image_token": "<image_soft_token>",
        "boi_token": "<start_of_image>",
        "eoi_token": "<end_of_image>",
    }
    pixels = Gemma3ImageProcessorPil(
        size={"height": SIDE, "width": SIDE}, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )
    processor = hf.ShieldGemma2Processor(
        pixels,
        word_tokenizer(*CONTROLS, **named),
        chat_template=TEMPLATE,
        image_seq_length=16,
        policy_definitions={"nodule": "is there a nodule?"},
    )
    return model, processor
