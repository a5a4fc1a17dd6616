"""A tiny PaliGemma: a SigLIP tower, a Gemma decoder whose prompt sees both ways, no chat template."""

from __future__ import annotations

from typing import Any

import transformers as hf
from transformers.models.paligemma.processing_paligemma import EXTRA_TOKENS
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from groundviz.testing.families.towers import siglip
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer

SIDE, PATCH = 24, 4


def tiny_paligemma(
    seed: int = 0,
) -> tuple[hf.PaliGemmaForConditionalGeneration, hf.PaliGemmaProcessor]:
    """A random PaliGemma and its processor; images of 24 by 24 pixels become 6 by 6 image tokens.

    Args:
        seed: Of the weights.

    >>> tiny_paligemma()[1].image_seq_length
    36
    """
    return _over(hf.GemmaConfig(**text_config(*EXTRA_TOKENS), head_dim=8), seed)


def tiny_paligemma2(
    seed: int = 0,
) -> tuple[hf.PaliGemmaForConditionalGeneration, hf.PaliGemmaProcessor]:
    """The same over Gemma 2: a sliding and a full layer, bounds on attention scores and on logits.

    Args:
        seed: Of the weights.

    >>> tiny_paligemma2()[0].config.text_config.layer_types
    ['sliding_attention', 'full_attention']
    """
    text = hf.Gemma2Config(
        **text_config(*EXTRA_TOKENS),
        head_dim=8,
        query_pre_attn_scalar=8,
        sliding_window=16,
        layer_types=["sliding_attention", "full_attention"],
        attn_logit_softcapping=2.0,
        final_logit_softcapping=3.0,
    )
    return _over(text, seed)


def _over(text: Any, seed: int) -> tuple[hf.PaliGemmaForConditionalGeneration, hf.PaliGemmaProcessor]:
    # The processor would add its names for places to a tokenizer that lacks them.
    config = hf.PaliGemmaConfig(
        text_config=text,
        vision_config=siglip(SIDE, PATCH),
        image_token_index=vocabulary()["<image>"],
        projection_dim=32,
        tie_word_embeddings=False,
    )
    model = random_model(lambda: hf.PaliGemmaForConditionalGeneration(config), seed, *EXTRA_TOKENS)
    pixels: Any = SiglipImageProcessorPil(
        size={"height": SIDE, "width": SIDE}, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )
    pixels.image_seq_length = (SIDE // PATCH) ** 2
    return model, hf.PaliGemmaProcessor(pixels, word_tokenizer(*EXTRA_TOKENS, image_token="<image>"))  # noqa: S106
