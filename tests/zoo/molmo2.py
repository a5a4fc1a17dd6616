"""A tiny Molmo 2: the whole image and overlapping crops of it, each patch of which is read once."""

from __future__ import annotations

from typing import Any

import transformers as hf

from groundviz.testing.families.still import NO_FILMS, for_stills
from groundviz.testing.families.towers import shape
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer
from tests.zoo.kit.templates import chatml
from tests.zoo.torchvision_stand_in import processing

CROP, PATCH = 32, 4
NAMED = {"image_token": "<|image|>", "video_token": "<|video|>"}
CONTROLS = (
    "<|im_start|>",
    "<|im_end|>",
    "<im_start>",
    "<im_end>",
    "<im_patch>",
    "<im_col>",
    "<low_res_im_start>",
    "<im_low>",
    "<frame_start>",
    "<frame_end>",
    *NAMED.values(),
)


def tiny_molmo2(seed: int = 0) -> tuple[Any, Any]:
    """Molmo 2: 4 by 4 image tokens of the whole, then a grid of those of the crops; after each row, a token.

    An image token pools two by two patches by attention, from two layers of the tower. The image tokens are
    <im_patch>; the crops overlap by a patch on each side.

    >>> tiny_molmo2()[1].image_processor.overlap_margins
    [1, 1]
    """
    ids = vocabulary(*CONTROLS)
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8}
    text = {**text_config(*CONTROLS), "head_dim": 8, "additional_vocab_size": 4}
    config = hf.Molmo2Config(
        text_config=text,
        vision_config={**shape(), **heads, "image_size": [CROP, CROP], "patch_size": PATCH},
        adapter_config={
            **heads,
            "vision_feature_layer": [1, 0],
            "hidden_size": 16,
            "intermediate_size": 24,
            "text_hidden_size": text["hidden_size"],
        },
        image_start_token_id=ids["<im_start>"],
        low_res_image_start_token_id=ids["<low_res_im_start>"],
        image_end_token_id=ids["<im_end>"],
        image_patch_id=ids["<im_patch>"],
        frame_start_token_id=ids["<frame_start>"],
        frame_end_token_id=ids["<frame_end>"],
    )
    model = random_model(lambda: hf.Molmo2ForConditionalGeneration(config), seed, *CONTROLS)
    pixels = processing("molmo2.image_processing_molmo2").Molmo2ImageProcessor(
        size={"height": CROP, "width": CROP}, patch_size=PATCH, max_crops=4, overlap_margins=[1, 1]
    )
    words = word_tokenizer(*CONTROLS, **NAMED)
    processor = for_stills(hf.Molmo2Processor)(pixels, NO_FILMS, words, chat_template=chatml("<|image|>"))
    return model, processor
