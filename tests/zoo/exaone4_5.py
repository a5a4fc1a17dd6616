"""A tiny EXAONE 4.5: a tower that attends in windows, with fewer keys than queries."""

from __future__ import annotations

from typing import Any

import transformers as hf
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from groundviz.testing.families.words import random_model, text_config, vocabulary
from tests.zoo.kit.patches import square_patches, still_processor, tower

NAMED = {"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"}
CONTROLS = ("<|user|>", "<|assistant|>", "<|endofturn|>", "<vision>", "</vision>", *NAMED.values())
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>\n"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<vision><|image_pad|></vision>{% else %}{{ part['text'] }}"
    "{% endif %}{% endfor %}<|endofturn|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


def tiny_exaone4_5(seed: int = 0) -> tuple[Any, Any]:
    """EXAONE 4.5: the first layer of tower and decoder sees a window, the second one everything.

    >>> tiny_exaone4_5()[0].config.text_config.layer_types
    ['sliding_attention', 'full_attention']
    """
    from transformers.models.exaone4_5.processing_exaone4_5 import Exaone4_5_Processor

    ids = vocabulary(*CONTROLS)
    vision = tower(out_hidden_size=32, window_size=16, fullatt_block_indexes=[1], num_key_value_heads=1)
    layers = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 16}
    config = hf.Exaone4_5_Config(
        text_config={**text_config(*CONTROLS), **layers, "model_type": "exaone4"},
        vision_config=vision,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
    )
    model = random_model(lambda: hf.Exaone4_5_ForConditionalGeneration(config), seed, *CONTROLS)
    pixels = square_patches(Qwen2VLImageProcessorPil)
    return model, still_processor(Exaone4_5_Processor, pixels, TEMPLATE, *CONTROLS, **NAMED)
