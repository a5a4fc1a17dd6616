"""A tiny PerceptionLM: a thumbnail and tiles, and two by two patches to an image token."""

from __future__ import annotations

from typing import Any

import transformers as hf

from groundviz.testing.families.still import NO_FILMS, for_stills
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer
from tests.zoo.kit.timm_stand_in import TransformerTower, timm_makes
from tests.zoo.torchvision_stand_in import processing

SIDE, PATCH, POOLED = 32, 4, 2
NAMED = {"image_token": "<|image|>", "video_token": "<|video|>"}
CONTROLS = ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", *NAMED.values())
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|image|>{% else %}{{ part['text'] | trim }}{% endif %}"
    "{% endfor %}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)


def tiny_perception_lm(seed: int = 0) -> tuple[Any, Any]:
    """PerceptionLM: each tile is four by four image tokens; a stand-in takes the place of timm's tower.

    The thumbnail comes first. The pixels have an axis for images and one for tiles.

    >>> tiny_perception_lm()[1].image_processor.max_num_tiles
    4
    """
    ids = vocabulary(*CONTROLS)
    config = hf.PerceptionLMConfig(
        text_config={"model_type": "llama", **text_config(*CONTROLS)},
        vision_config={
            "model_type": "timm_wrapper",
            "architecture": "vit_pe_core_large_patch14_336",
            "model_args": {"embed_dim": 16},
        },
        vision_use_cls_token=True,
        projector_pooling_ratio=POOLED,
        image_token_id=ids["<|image|>"],
        video_token_id=ids["<|video|>"],
    )
    with timm_makes(lambda: TransformerTower(16, SIDE, PATCH)):
        model = random_model(lambda: hf.PerceptionLMForConditionalGeneration(config), seed, *CONTROLS)
    module = processing("perception_lm.image_processing_perception_lm")
    pixels = module.PerceptionLMImageProcessor(
        tile_size=SIDE, max_num_tiles=4, size={"height": SIDE, "width": SIDE}
    )
    processor = for_stills(hf.PerceptionLMProcessor)(
        NO_FILMS,
        pixels,
        word_tokenizer(*CONTROLS, **NAMED),
        patch_size=PATCH,
        chat_template=TEMPLATE,
        pooling_ratio=POOLED,
    )
    return model, processor
