"""Tiny relatives of LLaVA: ViP-LLaVA, Video-LLaVA and LLaVA-NeXT-Video."""

from __future__ import annotations

from typing import Any

import transformers as hf

from groundviz.testing.families.llava_next import RESOLUTIONS
from groundviz.testing.families.still import NO_FILMS, for_stills
from groundviz.testing.families.towers import clip
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer
from tests.zoo.kit.sizes import square
from tests.zoo.kit.templates import VICUNA, turns

SIDE, PATCH = 32, 8
CONTROLS = ("<video>", "###")


def tiny_vipllava(seed: int = 0) -> tuple[Any, Any]:
    """ViP-LLaVA: each image token is read from two layers of the tower, side by side.

    >>> tiny_vipllava()[0].config.vision_feature_layer
    [-2, -1]
    """
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    config = hf.VipLlavaConfig(
        vision_config=clip(SIDE, PATCH),
        text_config=hf.LlamaConfig(**text_config(*CONTROLS)),
        image_token_index=vocabulary(*CONTROLS)["<image>"],
        vision_feature_layer=[-2, -1],
        image_seq_length=16,
    )
    model = random_model(lambda: hf.VipLlavaForConditionalGeneration(config), seed, *CONTROLS)
    pixels = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=square(SIDE))
    template = turns("<image>\n", "###{{ message['role'] | capitalize }}: ", "", "###Assistant:")
    processor = hf.LlavaProcessor(
        pixels, word_tokenizer(*CONTROLS), **_counted(PATCH), chat_template=template
    )
    return model, processor


def tiny_video_llava(seed: int = 0) -> tuple[Any, Any]:
    """Video-LLaVA, which has two towers: one for images, and one for films.

    Its processor names the image tensor pixel_values_images, and so does the model.

    >>> model, _ = tiny_video_llava()
    >>> model.model.image_tower is model.model.video_tower
    False
    """
    config = hf.VideoLlavaConfig(
        vision_config=clip(SIDE, PATCH),
        text_config=hf.LlamaConfig(**text_config(*CONTROLS)),
        image_seq_length=16,
        **_tokens(),
    )
    model = random_model(lambda: hf.VideoLlavaForConditionalGeneration(config), seed, *CONTROLS)
    pixels = hf.VideoLlavaImageProcessor(size={"shortest_edge": SIDE}, crop_size=square(SIDE))
    processor = for_stills(hf.VideoLlavaProcessor)(
        pixels, NO_FILMS, word_tokenizer(*CONTROLS), **_counted(PATCH), chat_template=VICUNA
    )
    return model, processor


def tiny_llava_next_video(seed: int = 0) -> tuple[Any, Any]:
    """LLaVA-NeXT-Video: for still images, LLaVA-NeXT. Each tile is 4 by 4 image tokens.

    >>> model, processor = tiny_llava_next_video()
    >>> processor.image_processor.image_grid_pinpoints == model.config.image_grid_pinpoints
    True
    """
    from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

    side, patch = 16, 4
    config = hf.LlavaNextVideoConfig(
        vision_config=clip(side, patch),
        text_config=hf.LlamaConfig(**text_config(*CONTROLS)),
        image_grid_pinpoints=RESOLUTIONS,
        **_tokens(),
    )
    model = random_model(lambda: hf.LlavaNextVideoForConditionalGeneration(config), seed, *CONTROLS)
    pixels = LlavaNextImageProcessorPil(
        size={"shortest_edge": side}, crop_size=square(side), image_grid_pinpoints=RESOLUTIONS
    )
    processor = for_stills(hf.LlavaNextVideoProcessor)(
        NO_FILMS, pixels, word_tokenizer(*CONTROLS), **_counted(patch), chat_template=VICUNA
    )
    return model, processor


def _counted(patch: int) -> dict[str, Any]:
    """How the processors count image tokens: the class token is dropped."""
    return {
        "patch_size": patch,
        "vision_feature_select_strategy": "default",
        "num_additional_image_tokens": 1,
    }


def _tokens() -> dict[str, Any]:
    ids = vocabulary(*CONTROLS)
    return {"image_token_index": ids["<image>"], "video_token_index": ids["<video>"]}
