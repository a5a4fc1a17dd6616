"""Tiny MiniCPM-V 4.6 and 4.7 and MiniCPM-OCR: the whole image, then slices of it that each keep its shape."""

from __future__ import annotations

from typing import Any

import transformers as hf

from groundviz.models.loading.still_images import NoFilms
from groundviz.testing.families.still import for_stills
from groundviz.testing.families.towers import shape
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer
from tests.zoo.kit.templates import chatml
from tests.zoo.torchvision_stand_in import processing

PATCH = 4
NAMED = {
    "image_token": "<|image_pad|>",
    "video_token": "<|video_pad|>",
    "image_start_token": "<image>",
    "image_end_token": "</image>",
    "slice_start_token": "<slice>",
    "slice_end_token": "</slice>",
    "image_id_start_token": "<image_id>",
    "image_id_end_token": "</image_id>",
}
# Between rows of slices stands the end of a line, whose place MiniCPM-V 4.7 must know.
CONTROLS = ("<|im_start|>", "<|im_end|>", "\n", *NAMED.values())


class NoSlicedFilms(NoFilms):
    """What the processors ask of their half for films before any is shown."""

    slice_mode = False

    def __init__(self, downsample_mode: str) -> None:
        self.downsample_mode = downsample_mode


def tiny_minicpmv4_6(seed: int = 0) -> tuple[Any, Any]:
    """MiniCPM-V 4.6: an image token is four by four patches, merged within the tower and again behind it.

    >>> tiny_minicpmv4_6()[0].config.text_config.layer_types
    ['linear_attention', 'full_attention']
    """
    config = hf.MiniCPMV4_6Config(**_shape(48))
    model = random_model(lambda: hf.MiniCPMV4_6ForConditionalGeneration(config), seed, *CONTROLS)
    return model, _processor(hf.MiniCPMV4_6Processor, hf.MiniCPMV4_6ImageProcessorPil, "16x", 48)


def tiny_minicpmv4_7(seed: int = 0) -> tuple[Any, Any]:
    """MiniCPM-V 4.7: as 4.6, and the decoder knows where on the image each token of whole and slices lies.

    >>> tiny_minicpmv4_7()[0].config.downsample_mode
    '16x'
    """
    ids = vocabulary(*CONTROLS)
    config = hf.MiniCPMV4_7Config(
        **_shape(48),
        image_start_id=ids["<image>"],
        image_end_id=ids["</image>"],
        slice_start_id=ids["<slice>"],
        slice_end_id=ids["</slice>"],
        newline_id=ids["\n"],
    )
    model = random_model(lambda: hf.MiniCPMV4_7ForConditionalGeneration(config), seed, *CONTROLS)
    return model, _processor(hf.MiniCPMV4_7Processor, hf.MiniCPMV4_6ImageProcessorPil, "16x", 48)


def tiny_minicpm_ocr(seed: int = 0) -> tuple[Any, Any]:
    """MiniCPM-OCR: an image token is two by two patches, merged behind the tower alone.

    >>> tiny_minicpm_ocr()[1].image_processor.downsample_mode
    '4x'
    """
    config = hf.MiniCPMOcrConfig(**_shape(32))
    model = random_model(lambda: hf.MiniCPMOcrForConditionalGeneration(config), seed, *CONTROLS)
    pixels = processing("minicpm_ocr.image_processing_minicpm_ocr").MiniCPMOcrImageProcessor
    return model, _processor(hf.MiniCPMOcrProcessor, pixels, "4x", 32)


def _processor(kind: Any, pixels: Any, mode: str, side: int) -> Any:
    images = pixels(patch_size=PATCH, scale_resolution=side, max_slice_nums=4, downsample_mode=mode)
    words = word_tokenizer(*CONTROLS, **NAMED)
    return for_stills(kind)(images, NoSlicedFilms(mode), words, chat_template=chatml("<|image_pad|>\n"))


def _shape(side: int) -> dict[str, Any]:
    ids = vocabulary(*CONTROLS)
    turning = {
        "rope_type": "default",
        "rope_theta": 10_000.0,
        "partial_rotary_factor": 0.5,
        "mrope_section": [2, 1, 1],
        "mrope_interleaved": True,
    }
    text = hf.Qwen3_5TextConfig(
        **text_config(*CONTROLS),
        head_dim=16,
        rope_parameters=turning,
        layer_types=["linear_attention", "full_attention"],
        linear_key_head_dim=8,
        linear_value_head_dim=8,
        linear_num_key_heads=2,
        linear_num_value_heads=4,
    )
    return {
        "text_config": text,
        "vision_config": {**shape(), "image_size": side, "patch_size": PATCH},
        "insert_layer_id": 0,
        "image_size": side,
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "tie_word_embeddings": False,
    }
