"""A tiny VideoLLaMA 3: a SigLIP tower for images of any shape, an image token for each patch."""

from __future__ import annotations

from typing import Any

import transformers as hf

from groundviz.testing.families.towers import shape
from groundviz.testing.families.words import random_model, text_config, vocabulary
from tests.zoo.kit.patches import square_patches, still_processor

PATCH = 6
NAMED = {"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"}
CONTROLS = ("<|im_start|>", "<|im_end|>", *NAMED.values())
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|image_pad|>\n{% else %}{{ part['text'] }}"
    "{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tiny_video_llama_3(seed: int = 0) -> tuple[Any, Any]:
    """VideoLLaMA 3 over a Qwen2: patches of six by six pixels, which are merged in films alone.

    >>> tiny_video_llama_3()[1].image_processor.merge_size
    1
    """
    from transformers.models.video_llama_3.image_processing_pil_video_llama_3 import (
        VideoLlama3ImageProcessorPil,
    )
    from transformers.models.video_llama_3.processing_video_llama_3 import VideoLlama3Processor

    ids = vocabulary(*CONTROLS)
    config = hf.VideoLlama3Config(
        text_config={**text_config(*CONTROLS), "model_type": "qwen2"},
        vision_config={**shape(), "patch_size": PATCH},
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
    )
    model = random_model(lambda: hf.VideoLlama3ForConditionalGeneration(config), seed, *CONTROLS)
    pixels = square_patches(VideoLlama3ImageProcessorPil, patch_size=PATCH, merge_size=1)
    return model, still_processor(VideoLlama3Processor, pixels, TEMPLATE, *CONTROLS, **NAMED)
