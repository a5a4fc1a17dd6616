"""Tiny Granite 4 Vision and Granite Docling: image tokens reach several decoder layers."""

from __future__ import annotations

from typing import Any

import transformers as hf

from groundviz.testing.families.llava_next import RESOLUTIONS
from groundviz.testing.families.towers import shape
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer
from tests.zoo.kit.sizes import square
from tests.zoo.kit.templates import turns

CONTROLS = ("<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>")
TILES = tuple(f"<row_{row}_col_{col}>" for row in range(1, 5) for col in range(1, 5))
PAGES = (*CONTROLS, "<fake_token_around_image>", "<global-img>", *TILES)
SPOKEN = {
    "before": "<|start_of_role|>{{ message['role'] }}<|end_of_role|>",
    "after": "<|end_of_text|>\n",
    "asked": "<|start_of_role|>assistant<|end_of_role|>",
}


def tiny_granite4_vision(seed: int = 0) -> tuple[Any, Any]:
    """Granite 4 Vision: LLaVA-NeXT's tiles of 4 by 4 image tokens, made anew for each of six layers.

    Two of the layers add image tokens that stand for two by two patches each; four of them add
    image tokens of every other patch, from each corner. The tower is 64 wide, as one head of the
    projector is.

    >>> tiny_granite4_vision()[0].config.spatial_target_layers
    [2, 3, 4, 5]
    """
    from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

    side, patch, merged = 16, 2, "2/4"
    vision = hf.SiglipVisionConfig(
        **(shape() | {"hidden_size": 64}), image_size=side, patch_size=patch, vision_use_head=False
    )
    projector = hf.Blip2QFormerConfig(
        num_hidden_layers=1,
        intermediate_size=24,
        cross_attention_frequency=1,
        max_position_embeddings=64,
        use_qformer_text_input=False,
    )
    config = hf.Granite4VisionConfig(
        vision_config=vision,
        text_config={**text_config(*CONTROLS, layers=6), "attention_multiplier": 0.35},
        qformer_config=projector,
        image_token_index=vocabulary(*CONTROLS)["<image>"],
        image_grid_pinpoints=RESOLUTIONS,
        vision_feature_select_strategy="full",
        downsample_rate=merged,
        deepstack_layer_map=[[-2, 1], [-1, 0]],
        spatial_target_layers=[2, 3, 4, 5],
    )
    model = random_model(lambda: hf.Granite4VisionForConditionalGeneration(config), seed, *CONTROLS)
    pixels = LlavaNextImageProcessorPil(
        size=square(side), crop_size=square(side), image_grid_pinpoints=RESOLUTIONS
    )
    processor = hf.Granite4VisionProcessor(
        pixels,
        word_tokenizer(*CONTROLS),
        patch_size=patch,
        vision_feature_select_strategy="full",
        downsample_rate=merged,
        chat_template=turns("<image>\n", **SPOKEN),
    )
    return model, processor


def tiny_granite_docling(seed: int = 0) -> tuple[Any, Any]:
    """Granite Docling: up to four tiles of 4 by 4 image tokens, and the whole page last.

    What the tower's first layer puts out is added behind the first decoder layer. The finer way,
    of four times as many image tokens, is there, and the processor does not take it unless asked.

    >>> tiny_granite_docling()[1].image_seq_len
    16
    """
    from transformers.models.granite_docling.image_processing_pil_granite_docling import (
        GraniteDoclingImageProcessorPil,
    )

    side, patch, merged = 32, 2, 4
    vision = {
        **shape(),
        "image_size": side,
        "patch_size": patch,
        "scale_factor": merged,
        "out_hidden_size": 32,
        "deepstack_visual_indexes": [0],
    }
    ids = vocabulary(*PAGES)
    text = {"embedding_multiplier": 1.0, "logits_scaling": 1.0, "attention_multiplier": 0.35}
    config = hf.GraniteDoclingConfig(
        vision_config=vision,
        text_config={**text_config(*PAGES), **text, "tie_word_embeddings": False},
        image_token_id=ids["<image>"],
        pad_token_id=ids["<pad>"],
        tie_word_embeddings=False,
    )
    model = random_model(lambda: hf.GraniteDoclingForConditionalGeneration(config), seed, *PAGES)
    pixels = GraniteDoclingImageProcessorPil(size=square(side), max_patches=4)
    processor = hf.GraniteDoclingProcessor(
        pixels,
        word_tokenizer(*PAGES),
        image_seq_len=(side // patch // merged) ** 2,
        chat_template=turns("<image>", **SPOKEN),
    )
    return model, processor
