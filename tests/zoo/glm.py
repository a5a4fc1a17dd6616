"""Tiny GLM-4.1V, 4.5V, 4.6V, GLMGA and GLM-OCR: a tower whose positions are read off at any shape."""

from __future__ import annotations

from typing import Any

import transformers as hf
from transformers.models.glm4v.image_processing_pil_glm4v import Glm4vImageProcessorPil
from transformers.models.glm4v.processing_glm4v import Glm4vProcessor
from transformers.models.glm46v.image_processing_pil_glm46v import Glm46VImageProcessorPil
from transformers.models.glm46v.processing_glm46v import Glm46VProcessor

from groundviz.testing.families.words import random_model, vocabulary
from tests.zoo.kit.patches import square_patches, still_processor, tower, turned_text

NAMED = {"image_token": "<|image|>", "video_token": "<|video|>"}
CONTROLS = (
    "[gMASK]",
    "<sop>",
    "<|user|>",
    "<|assistant|>",
    "<|begin_of_image|>",
    "<|end_of_image|>",
    "<|begin_of_video|>",
    "<|end_of_video|>",
    *NAMED.values(),
)
TEMPLATE = (
    "[gMASK]<sop>{% for message in messages %}<|{{ message['role'] }}|>\n"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|begin_of_image|><|image|><|end_of_image|>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


def tiny_glm4v(seed: int = 0) -> tuple[Any, Any]:
    """GLM-4.1V: a convolution merges two by two patches, and half of each head's channels turn.

    >>> tiny_glm4v()[0].config.text_config.rope_parameters["partial_rotary_factor"]
    0.5
    """
    config = hf.Glm4vConfig(text_config=_text(), vision_config=eye(), **numbers())
    model = random_model(lambda: hf.Glm4vForConditionalGeneration(config), seed, *CONTROLS)
    return model, _processor(Glm4vProcessor, Glm4vImageProcessorPil)


def tiny_glm4v_moe(seed: int = 0) -> tuple[Any, Any]:
    """GLM-4.5V: a dense layer, then one with experts, one of which sees everything.

    >>> tiny_glm4v_moe()[0].config.text_config.first_k_dense_replace
    1
    """
    experts: dict[str, Any] = {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
    config = hf.Glm4vMoeConfig(text_config=_text(**experts), vision_config=eye(), **numbers())
    model = random_model(lambda: hf.Glm4vMoeForConditionalGeneration(config), seed, *CONTROLS)
    return model, _processor(Glm4vProcessor, Glm4vImageProcessorPil)


def tiny_glm46v(seed: int = 0) -> tuple[Any, Any]:
    """GLM-4.6V: the tower and the decoder of GLM-4.1V.

    >>> tiny_glm46v()[0].config.text_config.model_type
    'glm4v_text'
    """
    config = hf.Glm46VConfig(text_config=_text(), vision_config=eye(), **numbers())
    model = random_model(lambda: hf.Glm46VForConditionalGeneration(config), seed, *CONTROLS)
    return model, _processor(Glm46VProcessor, Glm46VImageProcessorPil)


def tiny_glmga(seed: int = 0) -> tuple[Any, Any]:
    """GLMGA: the model and the processor of GLM-4.6V, with an image processor of its own.

    >>> tiny_glmga()[0].config.model_type
    'glmga'
    """
    from transformers.models.glmga.image_processing_pil_glmga import GlmgaImageProcessorPil

    config: Any = hf.GlmgaConfig(text_config=_text(), vision_config=eye(), **numbers())
    model = random_model(lambda: hf.Glm46VForConditionalGeneration(config), seed, *CONTROLS)
    return model, _processor(Glm46VProcessor, GlmgaImageProcessorPil)


def tiny_glm_ocr(seed: int = 0) -> tuple[Any, Any]:
    """GLM-OCR: a tower that normalizes queries and keys; it is published with GLM-4.6V's processor.

    >>> tiny_glm_ocr()[0].config.model_type
    'glm_ocr'
    """
    text = _text(sections=(2, 3, 3), turned=1.0, head_dim=16)
    config = hf.GlmOcrConfig(text_config=text, vision_config=eye(), **numbers())
    model = random_model(lambda: hf.GlmOcrForConditionalGeneration(config), seed, *CONTROLS)
    return model, _processor(Glm46VProcessor, Glm46VImageProcessorPil)


def eye(**more: Any) -> dict[str, Any]:
    """A tower that learned its positions on images of 32 by 32 pixels.

    >>> eye()["image_size"]
    32
    """
    return tower(image_size=32, out_hidden_size=32, **more)


def numbers() -> dict[str, Any]:
    """The ids of the tokens that stand for images and around them.

    >>> sorted(numbers())[:2]
    ['image_end_token_id', 'image_start_token_id']
    """
    ids = vocabulary(*CONTROLS)
    return {
        "image_token_id": ids["<|image|>"],
        "video_token_id": ids["<|video|>"],
        "image_start_token_id": ids["<|begin_of_image|>"],
        "image_end_token_id": ids["<|end_of_image|>"],
        "video_start_token_id": ids["<|begin_of_video|>"],
        "video_end_token_id": ids["<|end_of_video|>"],
    }


def _text(sections: tuple[int, ...] = (1, 1, 2), turned: float = 0.5, **more: Any) -> dict[str, Any]:
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
    return turned_text(*CONTROLS, sections=sections, turned=turned, **heads, **more)


def _processor(kind: Any, images: Any) -> Any:
    # It reckons with two frames of a film, so that an image has half of this area.
    area = {"shortest_edge": 2 * 32 * 32, "longest_edge": 2 * 64 * 64}
    return still_processor(kind, square_patches(images, size=area), TEMPLATE, *CONTROLS, **NAMED)
