"""A tiny Kimi K2.5: images in their own shape, padded, over latent attention and experts."""

from __future__ import annotations

from typing import Any

import transformers as hf

from groundviz.testing.families.still import NO_FILMS, for_stills
from groundviz.testing.families.towers import shape
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer
from tests.zoo.kit.experts import latent_experts
from tests.zoo.kit.templates import turns
from tests.zoo.torchvision_stand_in import processing

PATCH, MERGED = 4, 2
NAMED = {"image_token": "<|media_pad|>", "video_token": "<|kimi_k25_video_placeholder|>"}
CONTROLS = (
    "<|im_user|>",
    "<|im_assistant|>",
    "<|im_middle|>",
    "<|im_end|>",
    "<|media_begin|>",
    "<|media_content|>",
    "<|media_end|>",
    *NAMED.values(),
)
TEMPLATE = turns(
    "<|media_begin|>image<|media_content|><|media_pad|><|media_end|>",
    before="<|im_{{ message['role'] }}|>{{ message['role'] }}<|im_middle|>",
    after="<|im_end|>",
    asked="<|im_assistant|>assistant<|im_middle|>",
)


def tiny_kimi_k25(seed: int = 0) -> tuple[Any, Any]:
    """Kimi K2.5: image tokens of two by two patches; below and to the right an image is padded with black.

    >>> tiny_kimi_k25()[0].config.vision_config.merge_kernel_size
    (2, 2)
    """
    ids = vocabulary(*CONTROLS)
    text = {**text_config(*CONTROLS), **latent_experts(), "first_k_dense_replace": 1}
    config = hf.Kimi_K25Config(
        text_config=hf.DeepseekV3Config(**text),
        vision_config={**shape(), "patch_size": PATCH, "pos_emb_height": 8, "pos_emb_width": 8},
        projection_hidden_size=16,
        image_token_id=ids["<|media_pad|>"],
        video_token_id=ids["<|kimi_k25_video_placeholder|>"],
        vision_start_token_id=ids["<|media_begin|>"],
        vision_end_token_id=ids["<|media_end|>"],
        tie_word_embeddings=False,
    )
    model = random_model(lambda: hf.Kimi_K25ForConditionalGeneration(config), seed, *CONTROLS)
    pixels = processing("kimi_k25.image_processing_kimi_k25").Kimi_K25ImageProcessor(
        patch_size=PATCH, merge_size=MERGED, max_patches=256, size={"max_height": 64, "max_width": 64}
    )
    processor = for_stills(hf.Kimi_K25Processor)(
        pixels, word_tokenizer(*CONTROLS, **NAMED), NO_FILMS, chat_template=TEMPLATE
    )
    return model, processor
