"""A tiny HunyuanOCR: no pixel reaches the token behind each row of image tokens, nor the first and last."""

from __future__ import annotations

from typing import Any

import transformers as hf

from groundviz.testing.families.towers import shape
from groundviz.testing.families.words import random_model, vocabulary, word_tokenizer
from tests.zoo.kit.patches import MERGED, PATCH, square_patches, turned_text

PLACE = "<｜hy_place▁holder▁no▁{}｜>"  # noqa: RUF001
NAMED = {
    "image_start_token": PLACE.format(100),
    "image_end_token": PLACE.format(101),
    "image_token": PLACE.format(102),
    "image_newline_token": PLACE.format(103),
}
BEGIN, SYSTEM, USER = "<｜hy_begin▁of▁sentence｜>", PLACE.format(3), "<｜hy_User｜>"  # noqa: RUF001
CONTROLS = (BEGIN, SYSTEM, USER, *NAMED.values())
IMAGE = NAMED["image_start_token"] + NAMED["image_token"] + NAMED["image_end_token"]
TEMPLATE = (
    BEGIN + SYSTEM + "{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}" + IMAGE + "{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}" + USER + "{% endfor %}"
)


def tiny_hunyuan_vl(seed: int = 0) -> tuple[Any, Any]:
    """HunyuanOCR: positions in the text, across, down and of the image turn a channel pair each.

    >>> tiny_hunyuan_vl()[0].config.text_config.rope_parameters["mrope_section"]
    [1, 1, 1, 1]
    """
    from transformers.models.hunyuan_vl.image_processing_pil_hunyuan_vl import HunYuanVLImageProcessorPil
    from transformers.models.hunyuan_vl.processing_hunyuan_vl import HunYuanVLProcessor

    ids = vocabulary(*CONTROLS)
    sizes = {"patch_size": PATCH, "spatial_merge_size": MERGED, "max_image_size": 32, "min_image_size": 8}
    config = hf.HunYuanVLConfig(
        text_config=turned_text(*CONTROLS, sections=(1, 1, 1, 1), head_dim=8, tie_word_embeddings=False),
        vision_config={**shape(), **sizes, "out_hidden_size": 32, "text_hidden_size": 32},
        image_token_id=ids[NAMED["image_token"]],
        im_start_id=ids[NAMED["image_start_token"]],
        im_end_id=ids[NAMED["image_end_token"]],
        im_newline_id=ids[NAMED["image_newline_token"]],
        tie_word_embeddings=False,
    )
    model = random_model(lambda: hf.HunYuanVLForConditionalGeneration(config), seed, *CONTROLS)
    words = word_tokenizer(*CONTROLS, **NAMED)
    return model, HunYuanVLProcessor(
        square_patches(HunYuanVLImageProcessorPil), words, chat_template=TEMPLATE
    )
