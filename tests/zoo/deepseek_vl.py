"""Tiny Janus and DeepSeek-VL: images are padded to a square, and each has as many image tokens."""

from __future__ import annotations

from typing import Any

import transformers as hf

from groundviz.testing.families.towers import shape, siglip
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer
from tests.zoo.kit.sizes import square
from tests.zoo.kit.templates import turns

SIDE, PATCH, TOKENS = 32, 8, 16
DETAILED = 64
IMAGE = "<image_placeholder>"
NAMED = {
    "image_token": IMAGE,
    "boi_token": "<begin_of_image>",
    "eoi_token": "<end_of_image>",
}
JANUS = ("<|User|>", "<|Assistant|>", *NAMED.values())
SPOKEN = ("User", "Assistant", IMAGE)


def tiny_janus(seed: int = 0) -> tuple[Any, Any]:
    """Janus: what it needs to make images is there, and stays unused when it answers in words.

    >>> model, processor = tiny_janus()
    >>> processor.num_image_tokens, model.config.vision_config.num_image_tokens
    (16, 16)
    """
    from transformers.models.janus.image_processing_pil_janus import JanusImageProcessorPil

    # The decoder of images has groups of 32 channels each.
    made = {"base_channels": 32, "channel_multiplier": [1, 1], "num_res_blocks": 1, "latent_channels": 32}
    vision = {
        **shape(),
        "image_size": SIDE,
        "patch_size": PATCH,
        "mlp_ratio": 1.5,
        "projection_dim": 32,
        "num_image_tokens": TOKENS,
    }
    config = hf.JanusConfig(
        text_config=hf.LlamaConfig(**text_config(*JANUS)),
        vision_config=vision,
        vq_config={**made, "num_embeddings": 16, "projection_dim": 32, "image_token_embed_dim": 32},
        image_token_id=vocabulary(*JANUS)[IMAGE],
        tie_word_embeddings=False,
    )
    model = random_model(lambda: hf.JanusForConditionalGeneration(config), seed, *JANUS)
    pixels = JanusImageProcessorPil(size=square(SIDE), min_size=4)
    processor = hf.JanusProcessor(
        pixels,
        word_tokenizer(*JANUS, **NAMED),
        num_image_tokens=TOKENS,
        chat_template=turns(
            f"{IMAGE}\n", "<|{{ message['role'] | capitalize }}|>: ", "\n\n", "<|Assistant|>:"
        ),
    )
    return model, processor


def tiny_deepseek_vl(seed: int = 0) -> tuple[Any, Any]:
    """DeepSeek-VL: a SigLIP tower of 4 by 4 image tokens.

    >>> tiny_deepseek_vl()[1].num_image_tokens
    16
    """
    from transformers.models.deepseek_vl.image_processing_pil_deepseek_vl import (
        DeepseekVLImageProcessorPil,
    )

    config = hf.DeepseekVLConfig(vision_config=siglip(SIDE, PATCH), **_shared())
    model = random_model(lambda: hf.DeepseekVLForConditionalGeneration(config), seed, *SPOKEN)
    pixels = DeepseekVLImageProcessorPil(size=square(SIDE), min_size=4)
    return model, hf.DeepseekVLProcessor(pixels, **_words())


def tiny_deepseek_vl_hybrid(seed: int = 0) -> tuple[Any, Any]:
    """DeepSeek-VL with two towers: SAM sees a larger copy of the image in high_res_pixel_values.

    Each image token is made of both copies.

    >>> tiny_deepseek_vl_hybrid()[1].image_processor.model_input_names
    ['pixel_values', 'high_res_pixel_values']
    """
    from transformers.models.deepseek_vl_hybrid.image_processing_pil_deepseek_vl_hybrid import (
        DeepseekVLHybridImageProcessorPil,
    )

    detailed = hf.SamVisionConfig(
        hidden_size=16,
        output_channels=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=DETAILED,
        patch_size=4,
        window_size=4,
        global_attn_indexes=[1],
        mlp_dim=24,
    )
    config = hf.DeepseekVLHybridConfig(
        vision_config=siglip(SIDE, PATCH), high_res_vision_config=detailed, **_shared()
    )
    model = random_model(lambda: hf.DeepseekVLHybridForConditionalGeneration(config), seed, *SPOKEN)
    pixels = DeepseekVLHybridImageProcessorPil(size=square(SIDE), high_res_size=square(DETAILED), min_size=4)
    return model, hf.DeepseekVLHybridProcessor(pixels, **_words())


def _shared() -> dict[str, Any]:
    return {
        "text_config": hf.LlamaConfig(**text_config(*SPOKEN)),
        "image_token_id": vocabulary(*SPOKEN)[IMAGE],
        "tie_word_embeddings": False,
    }


def _words() -> dict[str, Any]:
    template = turns(IMAGE, "{{ message['role'] | capitalize }}: ", "\n\n", "Assistant:")
    return {
        "tokenizer": word_tokenizer(*SPOKEN, image_token=IMAGE),
        "num_image_tokens": TOKENS,
        "chat_template": template,
    }
