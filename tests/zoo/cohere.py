"""Tiny models of Cohere: Aya Vision, Command A Vision and North Micro Vision."""

from __future__ import annotations

from typing import Any

import transformers as hf
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

from groundviz.testing.families.still import NO_FILMS, for_stills
from groundviz.testing.families.towers import siglip
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer
from tests.zoo.kit.sizes import square
from tests.zoo.kit.templates import turns
from tests.zoo.torchvision_stand_in import processing

SIDE, PATCH, MERGED = 16, 2, 2
TURNS = ("<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>", "<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>")
SPOKEN = {
    "before": "<|START_OF_TURN_TOKEN|><|{{ message['role'] | upper }}_TOKEN|>",
    "after": "<|END_OF_TURN_TOKEN|>",
    "asked": "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
}
ENDS = ("<|START_OF_IMG|>", "<|END_OF_IMG|>", "<|IMG_LINE_BREAK|>", "<|IMG_PATCH|>")
TILES = (*(f"TILE_{number}" for number in range(1, 5)), "TILE_GLOBAL")
AYA = (*TURNS, *ENDS, *TILES)
COMMAND = (*TURNS, *ENDS)
COMMAND_NAMES = {
    "boi_token": "<|START_OF_IMG|>",
    "eoi_token": "<|END_OF_IMG|>",
    "img_line_break_token": "<|IMG_LINE_BREAK|>",
    "image_token": "<|IMG_PATCH|>",
}
NORTH = (*TURNS, "<|VISION_START|>", "<|VISION_END|>", "<|IMAGE_PAD|>", "<|VIDEO_PAD|>")


def tiny_aya_vision(seed: int = 0) -> tuple[Any, Any]:
    """Aya Vision: up to four tiles of 4 by 4 image tokens, and the whole image last.

    The prompt has <image> for an image; its image tokens are <|IMG_PATCH|>.

    >>> tiny_aya_vision()[0].config.text_config.layer_types
    ['sliding_attention', 'full_attention']
    """
    config = hf.AyaVisionConfig(
        vision_config=siglip(SIDE, PATCH),
        text_config=_decoder(*AYA),
        image_token_index=vocabulary(*AYA)["<|IMG_PATCH|>"],
        downsample_factor=MERGED,
        tie_word_embeddings=False,
    )
    model = random_model(lambda: hf.AyaVisionForConditionalGeneration(config), seed, *AYA)
    pixels = GotOcr2ImageProcessorPil(size=square(SIDE), crop_to_patches=True, min_patches=1, max_patches=4)
    processor = hf.AyaVisionProcessor(
        pixels,
        word_tokenizer(*AYA),
        patch_size=PATCH,
        img_size=SIDE,
        downsample_factor=MERGED,
        chat_template=turns("<image>", **SPOKEN),
    )
    return model, processor


def tiny_cohere2_vision(seed: int = 0) -> tuple[Any, Any]:
    """Command A Vision: up to four tiles of 4 by 4 image tokens, and the whole image last.

    The number of tiles is that which enlarges the image least. A line break ends each tile.

    >>> tiny_cohere2_vision()[1].patch_size
    4
    """
    config = hf.Cohere2VisionConfig(
        vision_config=siglip(SIDE, PATCH),
        text_config=_decoder(*COMMAND),
        image_token_id=vocabulary(*COMMAND)["<|IMG_PATCH|>"],
        downsample_factor=MERGED,
        alignment_intermediate_size=48,
        tie_word_embeddings=False,
    )
    model = random_model(lambda: hf.Cohere2VisionForConditionalGeneration(config), seed, *COMMAND)
    module = processing("cohere2_vision.image_processing_cohere2_vision")
    pixels = module.Cohere2VisionImageProcessor(
        size=square(SIDE), patch_size=SIDE // PATCH // MERGED, max_patches=4
    )
    words = word_tokenizer(*COMMAND, **COMMAND_NAMES)
    return model, hf.Cohere2VisionProcessor(pixels, words, chat_template=turns("<|IMG_PATCH|>", **SPOKEN))


def tiny_cohere_compass(seed: int = 0) -> tuple[Any, Any]:
    """North Micro Vision: what the tower's first layer puts out is added behind the first decoder layer.

    The second decoder layer attends to everything, and knows no positions.

    >>> model, _ = tiny_cohere_compass()
    >>> model.config.text_config.layer_types
    ['sliding_attention', 'full_attention']
    """
    from transformers.models.cohere_compass.image_processing_pil_cohere_compass import (
        CohereCompassImageProcessorPil,
    )

    turning = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [2, 1, 1]}
    text = {
        **text_config(*NORTH),
        "layer_types": ["sliding_attention", "full_attention"],
        "rope_parameters": {"sliding_attention": turning, "full_attention": None},
        "sliding_window": 512,
    }
    vision = {
        "depth": 2,
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_heads": 2,
        "patch_size": 4,
        "spatial_merge_size": MERGED,
        "out_hidden_size": 32,
        "num_position_embeddings": 16,
        "deepstack_visual_indexes": [0],
    }
    ids = vocabulary(*NORTH)
    config = hf.CohereCompassConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=ids["<|IMAGE_PAD|>"],
        video_token_id=ids["<|VIDEO_PAD|>"],
        vision_start_token_id=ids["<|VISION_START|>"],
        vision_end_token_id=ids["<|VISION_END|>"],
    )
    model = random_model(lambda: hf.CohereCompassForConditionalGeneration(config), seed, *NORTH)
    pixels = CohereCompassImageProcessorPil(
        patch_size=4, merge_size=MERGED, size={"shortest_edge": 32 * 32, "longest_edge": 64 * 64}
    )
    image = "<|VISION_START|><|IMAGE_PAD|><|VISION_END|>"
    processor = for_stills(hf.CohereCompassProcessor)(
        pixels, word_tokenizer(*NORTH), NO_FILMS, chat_template=turns(image, **SPOKEN)
    )
    return model, processor


def _decoder(*controls: str) -> hf.Cohere2Config:
    kinds = ["sliding_attention", "full_attention"]
    return hf.Cohere2Config(**text_config(*controls), layer_types=kinds, sliding_window=512)
