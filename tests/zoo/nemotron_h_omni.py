"""A tiny Nemotron-H Omni: a RADIO tower, and a decoder of state spaces, attention and experts."""

from __future__ import annotations

from typing import Any

import transformers as hf

from groundviz.testing.families.still import NO_FILMS, for_stills
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer
from tests.zoo.kit.templates import chatml
from tests.zoo.torchvision_stand_in import processing

PATCH = 4
NAMED = {
    "image_token": "<image>",
    "video_token": "<video>",
    "audio_token": "<so_embedding>",
    "image_start_token": "<img>",
    "image_end_token": "</img>",
}
CONTROLS = (
    "<|im_start|>",
    "<|im_end|>",
    "<video>",
    "<so_embedding>",
    "<so_start>",
    "<so_end>",
    "<img>",
    "</img>",
)
TEMPLATE = chatml("<image>\n")


def tiny_nemotron_h_omni(seed: int = 0) -> tuple[Any, Any]:
    """Nemotron-H Omni without its ear: one decoder layer of each of four kinds, one of which attends.

    >>> tiny_nemotron_h_omni()[0].config.text_config.layers_block_type
    ['linear_attention', 'moe', 'full_attention', 'mlp']
    """
    ids = vocabulary(*CONTROLS)
    shape = text_config(*CONTROLS)
    del shape["num_hidden_layers"]
    config = hf.NemotronH_Omni_Reasoning_V3_Config(
        text_config={
            **shape,
            "model_type": "nemotron_h",
            "layers_block_type": ["linear_attention", "moe", "full_attention", "mlp"],
            "head_dim": 8,
            "ssm_state_size": 8,
            "mamba_num_heads": 4,
            "mamba_head_dim": 8,
            "n_groups": 2,
            "chunk_size": 16,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 24,
            "moe_shared_expert_intermediate_size": 24,
        },
        vision_config={
            "model_type": "radio",
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "mlp_ratio": 2.0,
            "patch_size": PATCH,
            "image_size": 64,
            "max_img_size": 64,
            "video_temporal_patch_size": 2,
        },
        vision_hidden_size=16,
        projector_hidden_size=24,
        image_token_id=ids["<image>"],
        video_token_id=ids["<video>"],
        audio_token_id=ids["<so_embedding>"],
    )
    model = random_model(lambda: _headed(hf.NemotronH_Omni_Reasoning_V3(config)), seed, *CONTROLS)
    del model.get_output_embeddings
    pixels = processing("nemotron_h_omni.image_processing_nemotron_h_omni")
    processor = for_stills(hf.NemotronH_Omni_Reasoning_V3Processor)(
        image_processor=pixels.NemotronH_Omni_Reasoning_V3ImageProcessor(
            patch_size=PATCH, min_num_patches=64, max_num_patches=256
        ),
        video_processor=NO_FILMS,
        tokenizer=word_tokenizer(*CONTROLS, **NAMED),
        feature_extractor=hf.ParakeetFeatureExtractor(),
        chat_template=TEMPLATE,
    )
    return model, processor


def _headed(model: Any) -> Any:
    """The class does not find the head within its decoder, where `random_model` asks it to."""
    model.get_output_embeddings = model.language_model.get_output_embeddings
    return model
