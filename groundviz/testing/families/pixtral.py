"""Tiny models with a Pixtral tower, which takes images of any shape: Pixtral itself and Mistral 3."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import transformers as hf
from transformers.models.pixtral import image_processing_pil_pixtral
from transformers.utils.import_utils import is_torchvision_available

from groundviz.testing.families.towers import pixtral
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer

PATCH, MERGED = 4, 2
CONTROLS = ("[INST]", "[/INST]", "[IMG]", "[IMG_BREAK]", "[IMG_END]")
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}[INST]"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}[IMG]{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}[/INST]{% endfor %}"
)


def tiny_pixtral(seed: int = 0) -> tuple[hf.LlavaForConditionalGeneration, Any]:
    """A random Pixtral and its processor; patches of 4 by 4 pixels, at most 8 in a row.

    Args:
        seed: Of the weights.

    >>> tiny_pixtral()[0].config.vision_config.model_type
    'pixtral'
    """
    config = hf.LlavaConfig(
        text_config=hf.MistralConfig(**text_config(*CONTROLS), sliding_window=None),
        vision_config=pixtral(32, PATCH),
        image_token_index=vocabulary(*CONTROLS)["[IMG]"],
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        tie_word_embeddings=False,
    )
    model = random_model(lambda: hf.LlavaForConditionalGeneration(config), seed, *CONTROLS)
    return model, _processor(32, 1)


def tiny_mistral3(seed: int = 0) -> tuple[hf.Mistral3ForConditionalGeneration, Any]:
    """A random Mistral 3 and its processor; image tokens of 2 by 2 patches of 4 by 4 pixels.

    Args:
        seed: Of the weights.

    >>> tiny_mistral3()[0].config.spatial_merge_size
    2
    """
    config = hf.Mistral3Config(
        text_config=hf.MistralConfig(**text_config(*CONTROLS), sliding_window=None),
        vision_config=pixtral(48, PATCH),
        image_token_index=vocabulary(*CONTROLS)["[IMG]"],
        spatial_merge_size=MERGED,
        vision_feature_layer=-1,
        tie_word_embeddings=False,
    )
    model = random_model(lambda: hf.Mistral3ForConditionalGeneration(config), seed, *CONTROLS)
    return model, _processor(48, MERGED)


def _processor(longest: int, merged: int) -> Any:
    pixels = image_processing_pil_pixtral.PixtralImageProcessorPil(
        size={"longest_edge": longest}, patch_size={"height": PATCH, "width": PATCH}
    )
    return _processor_class()(
        pixels,
        word_tokenizer(*CONTROLS),
        patch_size=PATCH,
        spatial_merge_size=merged,
        chat_template=TEMPLATE,
    )


def _processor_class() -> Any:
    """The processor's class, also where torchvision is missing.

    It takes one function from the torchvision image processor, which the Pillow one has as well.
    """
    if is_torchvision_available():
        return hf.PixtralProcessor
    missing = "transformers.models.pixtral.image_processing_pixtral"
    sys.modules[missing] = image_processing_pil_pixtral
    try:
        return import_module("transformers.models.pixtral.processing_pixtral").PixtralProcessor
    finally:
        del sys.modules[missing]
