"""A tiny Qianfan-OCR: InternVL's tiles and tower, and a Qwen3 decoder."""

from __future__ import annotations

from typing import Any

import transformers as hf
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

from groundviz.testing.families.towers import shape
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer
from tests.zoo.kit.sizes import square
from tests.zoo.kit.templates import chatml

SIDE, PATCH, TOKENS = 16, 2, 16
NAMED = {
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
}
CONTROLS = ("<|im_start|>", "<|im_end|>", *NAMED.values())


def tiny_qianfan_ocr(seed: int = 0) -> tuple[Any, Any]:
    """Qianfan-OCR: up to four tiles of 4 by 4 image tokens, and the whole image last.

    The prompt has <image> for an image; its image tokens are <IMG_CONTEXT>.

    >>> tiny_qianfan_ocr()[1].image_seq_length
    16
    """
    config = hf.QianfanOCRConfig(
        text_config=hf.Qwen3Config(**text_config(*CONTROLS), head_dim=8),
        vision_config={**shape(), "image_size": SIDE, "patch_size": PATCH},
        image_token_id=vocabulary(*CONTROLS)["<IMG_CONTEXT>"],
        image_seq_length=TOKENS,
    )
    model = random_model(lambda: hf.QianfanOCRForConditionalGeneration(config), seed, *CONTROLS)
    pixels = GotOcr2ImageProcessorPil(size=square(SIDE), crop_to_patches=True, min_patches=1, max_patches=4)
    processor = hf.QianfanOCRProcessor(
        pixels, word_tokenizer(*CONTROLS, **NAMED), image_seq_length=TOKENS, chat_template=chatml("<image>\n")
    )
    return model, processor
