"""Tiny vision encoder-decoders: any tower and any decoder that reads it by cross-attention."""

from __future__ import annotations

from typing import Any

import transformers as hf
from transformers.models.donut.image_processing_pil_donut import DonutImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer

TASK = "<s_docvqa>"


def tiny_vision_encoder_decoder(seed: int = 0) -> tuple[Any, Any]:
    """TrOCR: a ViT and a decoder. It has no chat template, and the text given to the processor is its labels.

    >>> tiny_vision_encoder_decoder()[0].config.decoder.model_type
    'trocr'
    """
    vision = hf.ViTConfig(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=4,
    )
    pixels = ViTImageProcessorPil(size={"height": 32, "width": 32})
    words = word_tokenizer(TASK)
    return _model(vision, seed), hf.TrOCRProcessor(pixels, words)


def tiny_donut(seed: int = 0) -> tuple[Any, Any]:
    """Donut: a Swin tower of two stages, and images padded to the size of the page.

    >>> tiny_donut()[0].config.encoder.model_type
    'donut-swin'
    """
    vision = hf.DonutSwinConfig(
        image_size=[32, 48],
        patch_size=2,
        embed_dim=8,
        depths=[1, 1],
        num_heads=[1, 2],
        window_size=4,
    )
    pixels = DonutImageProcessorPil(size={"height": 32, "width": 48}, do_align_long_axis=False)
    words = word_tokenizer(TASK)
    return _model(vision, seed), hf.DonutProcessor(pixels, words)


def _model(vision: Any, seed: int) -> Any:
    shape = text_config(TASK)
    reads: dict[str, Any] = {"is_decoder": True, "add_cross_attention": True}
    text = hf.TrOCRConfig(
        vocab_size=shape["vocab_size"],
        d_model=32,
        decoder_layers=2,
        decoder_attention_heads=4,
        decoder_ffn_dim=48,
        max_position_embeddings=128,
        **reads,
        decoder_start_token_id=vocabulary(TASK)["<s>"],
        **{name: shape[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id")},
    )
    config = hf.VisionEncoderDecoderConfig.from_encoder_decoder_configs(vision, text)
    config.decoder_start_token_id, config.pad_token_id = text.decoder_start_token_id, text.pad_token_id
    return random_model(lambda: hf.VisionEncoderDecoderModel(config), seed, TASK)
