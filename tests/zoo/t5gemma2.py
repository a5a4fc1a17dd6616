"""A tiny T5Gemma 2: the image stands in the encoder's prompt; the decoder attends to all of it."""

from __future__ import annotations

from typing import Any

import transformers as hf
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

from groundviz.testing.families.gemma3 import CONTROLS, SIDE
from groundviz.testing.families.towers import siglip
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer

NAMED = {"image_token": "<image_soft_token>", "boi_token": "<start_of_image>", "eoi_token": "<end_of_image>"}


def tiny_t5gemma2(seed: int = 0) -> tuple[Any, Any]:
    """T5Gemma 2: four by four image tokens, an encoder and a decoder of two layers; no chat template.

    A prompt marks an image by <start_of_image>. Answers begin with <s>.

    >>> tiny_t5gemma2()[0].config.is_encoder_decoder
    True
    """
    ids = vocabulary(*CONTROLS)
    encoder = hf.T5Gemma2EncoderConfig(
        text_config=hf.T5Gemma2TextConfig(**_text()),
        vision_config=siglip(SIDE, patch=2),
        mm_tokens_per_image=16,
        boi_token_index=ids["<start_of_image>"],
        eoi_token_index=ids["<end_of_image>"],
    )
    config = hf.T5Gemma2Config(
        encoder=encoder,
        decoder=hf.T5Gemma2DecoderConfig(**_text()),
        image_token_index=ids["<image_soft_token>"],
        tie_word_embeddings=False,
    )
    model = random_model(lambda: hf.T5Gemma2ForConditionalGeneration(config), seed, *CONTROLS)
    model.generation_config.decoder_start_token_id = ids["<s>"]
    pixels = Gemma3ImageProcessorPil(
        size={"height": SIDE, "width": SIDE}, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )
    return model, hf.Gemma3Processor(pixels, word_tokenizer(*CONTROLS, **NAMED), image_seq_length=16)


def _text() -> dict[str, Any]:
    return {
        **text_config(*CONTROLS),
        "head_dim": 8,
        "query_pre_attn_scalar": 8,
        "sliding_window": 8,
        "layer_types": ["sliding_attention", "full_attention"],
    }
