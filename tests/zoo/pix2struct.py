"""A tiny Pix2Struct: an encoder of patches that carry their row and column, and a decoder that reads it."""

from __future__ import annotations

from typing import Any

import transformers as hf
from transformers.models.pix2struct.image_processing_pil_pix2struct import Pix2StructImageProcessorPil

from groundviz.testing.families.words import random_model, vocabulary, word_tokenizer

PATCH, MOST = 4, 48


def tiny_pix2struct(seed: int = 0) -> tuple[Any, Any]:
    """Pix2Struct has no chat template: the answer goes on from the text.

    What it takes of an image is `flattened_patches`, each behind its row and column, counted from one.

    >>> tiny_pix2struct()[1].image_processor.max_patches
    48
    """
    ids = vocabulary()
    config = hf.Pix2StructConfig(
        text_config={
            "vocab_size": len(ids),
            "hidden_size": 32,
            "d_kv": 8,
            "d_ff": 48,
            "num_layers": 2,
            "num_heads": 4,
            "pad_token_id": ids["<pad>"],
            "eos_token_id": ids["</s>"],
            "decoder_start_token_id": ids["<pad>"],
        },
        vision_config={
            "hidden_size": 32,
            "patch_embed_hidden_size": PATCH * PATCH * 3,
            "d_kv": 8,
            "d_ff": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "seq_len": 64,
        },
    )
    model = random_model(lambda: hf.Pix2StructForConditionalGeneration(config), seed)
    size: dict[str, Any] = {"patch_size": {"height": PATCH, "width": PATCH}, "max_patches": MOST}
    fewer: Any = _Fewer
    return model, fewer(Pix2StructImageProcessorPil(**size), word_tokenizer())


class _Fewer(hf.Pix2StructProcessor):
    """The class asks for 2048 patches where the caller does not, whatever its image processor would take."""

    def __call__(self, *given: Any, **named: Any) -> Any:
        return super().__call__(*given, **{"max_patches": MOST, **named})
