"""Tiny Muse Glimmer and Muse Spark, whose towers attend within windows and whose decoders within a slide."""

from __future__ import annotations

from typing import Any

import transformers as hf

from groundviz.testing.families.still import NO_FILMS, for_stills
from groundviz.testing.families.towers import shape
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer
from tests.zoo.kit.templates import turns
from tests.zoo.torchvision_stand_in import processing

PATCH, MERGED = 4, 2
CONTROLS = (
    "<|header_start|>",
    "<|header_end|>",
    "<|eot|>",
    "<|patch|>",
    "<|image_start|>",
    "<|image_end|>",
    "<|video|>",
    "<|vid_frame_separator|>",
    "<|vid_start|>",
    "<|vid_end|>",
    "<|audio|>",
    "<|soft_audio_start|>",
    "<|soft_audio_end|>",
)
TEMPLATE = turns(
    "<|patch|>",
    first="{{ bos_token }}",
    before="<|header_start|>{{ message['role'] }}<|header_end|>\n\n",
    after="<|eot|>",
    asked="<|header_start|>assistant<|header_end|>\n\n",
)


def tiny_muse_glimmer(seed: int = 0) -> tuple[Any, Any]:
    """Muse Glimmer: image tokens of two by two patches; the tower's first layer has windows of 32 pixels.

    >>> tiny_muse_glimmer()[0].config.vision_config.layer_types
    ['window_attention', 'full_attention']
    """
    config = hf.MuseGlimmerConfig(text_config=_text(), **_vision())
    model = random_model(lambda: hf.MuseGlimmerForConditionalGeneration(config), seed, *CONTROLS)
    processor = for_stills(hf.MuseGlimmerProcessor)(
        _pixels(), NO_FILMS, word_tokenizer(*CONTROLS), chat_template=TEMPLATE
    )
    return model, processor


def tiny_muse_spark(seed: int = 0) -> tuple[Any, Any]:
    """Muse Spark: Muse Glimmer with experts, and with ears that are not used here.

    >>> tiny_muse_spark()[0].config.text_config.mlp_layer_types
    ['dense', 'sparse']
    """
    text = {
        **_text(),
        "mlp_layer_types": ["dense", "sparse"],
        "moe_intermediate_size": 16,
        "moe_hidden_size": 16,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
    }
    sound = {
        "patch_sizes": [4, 2],
        "hidden_sizes": [8, 16],
        "depths": [1, 1],
        "num_hidden_layers": 2,
        "out_hidden_size": text["hidden_size"],
    }
    config = hf.MuseSparkConfig(
        text_config=text,
        audio_config=sound,
        audio_token_id=vocabulary(*CONTROLS)["<|audio|>"],
        **_vision(),
    )
    model = random_model(lambda: hf.MuseSparkForConditionalGeneration(config), seed, *CONTROLS)
    processor = for_stills(hf.MuseSparkProcessor)(
        _pixels(),
        NO_FILMS,
        word_tokenizer(*CONTROLS),
        hf.MuseSparkFeatureExtractor(samples_per_token=8),
        chat_template=TEMPLATE,
    )
    return model, processor


def _pixels() -> Any:
    kind = processing("muse_glimmer.image_processing_muse_glimmer").MuseGlimmerImageProcessor
    return kind(patch_size=PATCH, merge_size=MERGED, max_image_tokens=64)


def _text() -> dict[str, Any]:
    return {
        **text_config(*CONTROLS),
        "head_dim": 8,
        "layer_types": ["sliding_attention", "full_attention"],
        "sliding_window": 64,
        "layer_rope_theta": [10_000.0, 0],
        "output_multiplier": 1.0,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
    }


def _vision() -> dict[str, Any]:
    ids = vocabulary(*CONTROLS)
    return {
        "vision_config": {
            **shape(),
            "patch_size": PATCH,
            "merge_size": MERGED,
            "pos_emb_height": 8,
            "pos_emb_width": 8,
            "max_position_embeddings": 64,
            "layer_types": ["window_attention", "full_attention"],
        },
        "image_token_id": ids["<|patch|>"],
        "video_token_id": ids["<|video|>"],
        # Two by two patches, one behind the other.
        "out_hidden_size": 64,
        "projector_hidden_size": 24,
    }
