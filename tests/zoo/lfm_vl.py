"""Tiny LFM2-VL and LFM3-VL, whose decoders have convolutions beside attention."""

from __future__ import annotations

from typing import Any

import transformers as hf
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from groundviz.testing.families.still import NO_FILMS, for_stills
from groundviz.testing.families.towers import shape
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer
from tests.zoo.kit.templates import chatml
from tests.zoo.torchvision_stand_in import processing

TILE, PATCH, MERGED = 32, 4, 2
TILES = tuple(f"<|img_row_{row}_col_{column}|>" for row in range(1, 5) for column in range(1, 5))
CONTROLS_2 = (
    "<|im_start|>",
    "<|im_end|>",
    "<image>",
    "<|image_start|>",
    "<|image_end|>",
    "<|img_thumbnail|>",
    *TILES,
)
NAMED_3 = {"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"}
CONTROLS_3 = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", *NAMED_3.values())


def tiny_lfm2_vl(seed: int = 0) -> tuple[Any, Any]:
    """LFM2-VL: tiles of 4 by 4 image tokens, then the whole image in its own shape.

    >>> tiny_lfm2_vl()[0].config.text_config.layer_types
    ['conv', 'full_attention']
    """
    config = hf.Lfm2VlConfig(
        text_config=hf.Lfm2Config(
            **text_config(*CONTROLS_2),
            layer_types=["conv", "full_attention"],
            block_auto_adjust_ff_dim=False,
            tie_word_embeddings=False,
        ),
        vision_config=hf.Siglip2VisionConfig(
            **shape(), patch_size=PATCH, num_patches=64, vision_use_head=False
        ),
        image_token_id=vocabulary(*CONTROLS_2)["<image>"],
        projector_hidden_size=24,
        downsample_factor=MERGED,
        tie_word_embeddings=False,
    )
    model = random_model(lambda: hf.Lfm2VlForConditionalGeneration(config), seed, *CONTROLS_2)
    pixels = processing("lfm2_vl.image_processing_lfm2_vl").Lfm2VlImageProcessor(
        size={"height": TILE, "width": TILE},
        tile_size=TILE,
        encoder_patch_size=PATCH,
        downsample_factor=MERGED,
        min_image_tokens=4,
        max_image_tokens=16,
        max_tiles=4,
    )
    template = chatml("<image>", first="{{ bos_token }}")
    processor = hf.Lfm2VlProcessor(pixels, word_tokenizer(*CONTROLS_2), chat_template=template)
    return model, processor


def tiny_lfm3_vl(seed: int = 0) -> tuple[Any, Any]:
    """LFM3-VL: image tokens of two by two patches; the tower convolves over the grid, then attends.

    >>> tiny_lfm3_vl()[0].config.vision_config.layer_types
    ['conv', 'full_attention']
    """
    ids = vocabulary(*CONTROLS_3)
    config = hf.Lfm3VlConfig(
        text_config=hf.Lfm3Config(
            **text_config(*CONTROLS_3, layers=3),
            layer_types=["conv", "sliding_attention", "full_attention"],
            head_dim=8,
            sliding_window=64,
            tie_word_embeddings=False,
        ),
        vision_config={
            **shape(),
            "num_key_value_heads": 1,
            "patch_size": PATCH,
            "spatial_merge_size": MERGED,
            "layer_types": ["conv", "full_attention"],
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        projector_hidden_size=24,
        tie_word_embeddings=False,
    )
    model = random_model(lambda: hf.Lfm3VlForConditionalGeneration(config), seed, *CONTROLS_3)
    pixels = Qwen2VLImageProcessorPil(
        patch_size=PATCH, merge_size=MERGED, size={"shortest_edge": 32 * 32, "longest_edge": 64 * 64}
    )
    processor = for_stills(hf.Lfm3VlProcessor)(
        pixels,
        word_tokenizer(*CONTROLS_3, **NAMED_3),
        NO_FILMS,
        chat_template=chatml("<|vision_start|><|image_pad|><|vision_end|>", first="{{ bos_token }}"),
    )
    return model, processor
