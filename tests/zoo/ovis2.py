"""A tiny Ovis2: each image token is a mixture of learned visual words."""

from __future__ import annotations

from typing import Any

import transformers as hf

from groundviz.testing.families.towers import shape
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer
from tests.zoo.kit.sizes import square
from tests.zoo.kit.templates import chatml

SIDE, PATCH, MERGED = 32, 4, 2
TOKENS = (SIDE // PATCH // MERGED) ** 2
PLACES = ("<IMG_START>", "<IMG_GRID>", "<IMG_COL>", "<IMG_ROW>", "<IMG_END>")
CONTROLS = ("<|im_start|>", "<|im_end|>", "<IMG_ATOM>", *PLACES)


def tiny_ovis2(seed: int = 0) -> tuple[Any, Any]:
    """Ovis2: the whole image first, then up to four tiles of 4 by 4 image tokens.

    The prompt has <image> for an image; its image tokens are <IMG_ATOM>.

    >>> tiny_ovis2()[1].image_seq_length
    16
    """
    from transformers.models.ovis2.image_processing_pil_ovis2 import Ovis2ImageProcessorPil

    ids = vocabulary(*CONTROLS)
    vision = {
        **shape(),
        "image_size": SIDE,
        "patch_size": PATCH,
        "hidden_stride": MERGED,
        "vocab_size": 24,
        "num_visual_indicator_tokens": len(PLACES),
    }
    config = hf.Ovis2Config(
        vision_config=vision,
        text_config=hf.Qwen2Config(**text_config(*CONTROLS)),
        image_token_id=ids["<IMG_ATOM>"],
        visual_indicator_token_ids=[ids[token] for token in PLACES],
        vocab_size=len(ids),
        hidden_size=32,
        tie_word_embeddings=False,
    )
    model = random_model(lambda: hf.Ovis2ForConditionalGeneration(config), seed, *CONTROLS)
    pixels = Ovis2ImageProcessorPil(size=square(SIDE), crop_to_patches=True, max_patches=4)
    words = word_tokenizer(*CONTROLS)
    return model, hf.Ovis2Processor(pixels, words, image_seq_length=TOKENS, chat_template=chatml("<image>\n"))
