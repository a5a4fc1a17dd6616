"""A tiny Florence-2: a tower of windows and channels, and a BART that reads image and prompt."""

from __future__ import annotations

from typing import Any

import transformers as hf
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer

SIDE = 48


def tiny_florence2(seed: int = 0) -> tuple[Any, Any]:
    """Florence-2: the mean of the tower's cells, and then its six by six cells; no chat template.

    The processor puts the image before the prompt, which must not mark it.

    >>> tiny_florence2()[1].num_image_tokens
    37
    """
    cells = (SIDE // 8) ** 2
    decoder = text_config()
    text = {
        "model_type": "bart",
        "vocab_size": decoder["vocab_size"],
        "d_model": 32,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 48,
        "decoder_ffn_dim": 48,
        "max_position_embeddings": 256,
        "bos_token_id": decoder["bos_token_id"],
        "eos_token_id": decoder["eos_token_id"],
        "pad_token_id": decoder["pad_token_id"],
        "decoder_start_token_id": decoder["eos_token_id"],
        "forced_eos_token_id": None,
    }
    vision = hf.Florence2VisionConfig(
        depths=[1, 1],
        patch_size=[7, 3],
        patch_stride=[4, 2],
        patch_padding=[3, 1],
        patch_prenorm=[False, True],
        embed_dim=[8, 16],
        num_heads=[2, 2],
        num_groups=[2, 2],
        window_size=3,
        mlp_ratio=2.0,
        drop_path_rate=0.0,
        projection_dim=32,
        max_temporal_embeddings=4,
        max_position_embeddings=10,
    )
    config = hf.Florence2Config(
        text_config=text,
        vision_config=vision,
        image_token_id=vocabulary()["<image>"],
        tie_word_embeddings=False,
    )
    model = random_model(lambda: hf.Florence2ForConditionalGeneration(config), seed)
    settings = model.generation_config
    settings.decoder_start_token_id, settings.forced_eos_token_id = decoder["eos_token_id"], None
    pixels: Any = CLIPImageProcessorPil(size={"height": SIDE, "width": SIDE}, do_center_crop=False)
    pixels.image_seq_length = cells + 1
    return model, hf.Florence2Processor(pixels, word_tokenizer(image_token="<image>"))  # noqa: S106
