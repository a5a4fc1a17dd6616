"""A tiny PP-FormulaNet: a tower that attends within windows, and a decoder that writes what it reads."""

from __future__ import annotations

from typing import Any

import transformers as hf

from groundviz.testing.families.words import random_model, text_config, word_tokenizer
from tests.zoo.torchvision_stand_in import processing

SIDE, PATCH = 64, 4


def tiny_pp_formulanet(seed: int = 0) -> tuple[Any, Any]:
    """PP-FormulaNet takes no text. Margins are cut off an image, and it is padded to a square in the middle.

    >>> tiny_pp_formulanet()[0].config.vision_config.image_size
    64
    """
    shape = text_config()
    config = hf.PPFormulaNetConfig(
        text_config={
            **{name: shape[name] for name in ("vocab_size", "bos_token_id", "eos_token_id", "pad_token_id")},
            "d_model": 32,
            "encoder_layers": 2,
            "encoder_attention_heads": 4,
            "decoder_layers": 2,
            "decoder_attention_heads": 4,
            "decoder_ffn_dim": 48,
            "max_position_embeddings": 128,
            "decoder_start_token_id": shape["bos_token_id"],
            "forced_eos_token_id": None,
        },
        vision_config={
            "hidden_size": 16,
            "output_channels": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": SIDE,
            "patch_size": PATCH,
            "window_size": 6,
            "global_attn_indexes": [1],
            "mlp_dim": 24,
            "post_conv_in_channels": 16,
            "post_conv_mid_channels": 16,
            "post_conv_out_channels": 24,
            "decoder_hidden_size": 32,
        },
    )
    model = random_model(lambda: hf.PPFormulaNetForConditionalGeneration(config), seed)
    pixels = processing("pp_formulanet.image_processing_pp_formulanet").PPFormulaNetImageProcessor(
        size={"height": SIDE, "width": SIDE}
    )
    return model, hf.PPFormulaNetProcessor(pixels, word_tokenizer())
