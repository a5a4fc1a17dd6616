"""Tiny Inkling models: squares of pixels folded to a token each, or a tower with a class token."""

from __future__ import annotations

from typing import Any

import transformers as hf

from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer
from tests.zoo.torchvision_stand_in import processing

SQUARE = 8
IMAGE, SOUND = "<|unused_200054|>", "<|unused_200053|>"
CONTROLS = (
    *("<|message_user|>", "<|message_model|>", "<|end_message|>", "<|content_text|>"),
    *("<|content_image|>", IMAGE, "<|content_audio_input|>", SOUND),
)
TEMPLATE = (
    "{% for message in messages %}<|message_user|>"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|content_image|><|unused_200054|>"
    "{% else %}<|content_text|>{{ part['text'] }}{% endif %}"
    "{% endfor %}<|end_message|>{% endfor %}"
    "{% if add_generation_prompt %}<|message_model|><|content_text|>{% endif %}"
)
SIZE = {"height": SQUARE, "width": SQUARE}


def tiny_inkling_mm_model(seed: int = 0) -> tuple[Any, Any]:
    """Inkling: no attention among the squares of an image, and a column more than an image fills.

    >>> tiny_inkling_mm_model()[0].config.text_config.layer_types
    ['hybrid_sliding', 'hybrid']
    """
    ids = vocabulary(*CONTROLS)
    config = hf.InklingConfig(
        text_config={
            **_text(2),
            "mlp_layer_types": ["dense", "sparse"],
            "n_shared_experts": 1,
            "logits_mup_width_multiplier": 1.0,
        },
        vision_config={"patch_size": SQUARE, "num_hidden_layers": 4, "hidden_size": 16},
        audio_config={"n_mel_bins": 4, "mel_vocab_size": 8},
        image_token_id=ids[IMAGE],
        audio_token_id=ids[SOUND],
        image_bos_token_id=ids["<|content_image|>"],
        audio_bos_token_id=ids["<|content_audio_input|>"],
    )
    model = random_model(lambda: hf.InklingForConditionalGeneration(config), seed, *CONTROLS)
    processor = hf.InklingProcessor(
        feature_extractor=hf.InklingFeatureExtractor(),
        image_processor=processing("inkling.image_processing_inkling").InklingImageProcessor(size=SIZE),
        tokenizer=word_tokenizer(*CONTROLS),
        chat_template=TEMPLATE,
    )
    return model, processor


def tiny_inkling2(seed: int = 0) -> tuple[Any, Any]:
    """Inkling 2: a tower over patches of half a square, with a class token; four of them make an image token.

    >>> tiny_inkling2()[0].config.vision_config.patch_size
    4
    """
    config = hf.Inkling2Config(text_config=_text(2), **_seeing())
    model = random_model(lambda: hf.Inkling2ForConditionalGeneration(config), seed, *CONTROLS)
    return model, _processor()


def tiny_inkling2_loop(seed: int = 0) -> tuple[Any, Any]:
    """Inkling 2 with a loop: the middle of three decoder layers is passed three times.

    >>> tiny_inkling2_loop()[0].config.text_config.total_num_hidden_layers
    5
    """
    loop = {"loop_layer_index_start": 1, "loop_layer_index_end": 2, "loop_num_passes": 3, "loop_gate_rank": 4}
    config = hf.Inkling2LoopConfig(text_config={**_text(3), **loop}, **_seeing())
    model = random_model(lambda: hf.Inkling2LoopForConditionalGeneration(config), seed, *CONTROLS)
    return model, _processor()


def _processor() -> Any:
    pixels = processing("inkling2.image_processing_inkling2").Inkling2ImageProcessor(size=SIZE)
    return hf.Inkling2Processor(pixels, word_tokenizer(*CONTROLS), chat_template=TEMPLATE)


def _seeing() -> dict[str, Any]:
    vision = {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "patch_size": SQUARE // 2,
        "spatial_merge_size": 2,
        "posemb_grid_size": 8,
        "projection_hidden_dim": 24,
        "text_hidden_size": 32,
        "model_type": "inkling2_vision",
    }
    return {"vision_config": vision, "image_token_id": vocabulary(*CONTROLS)[IMAGE]}


def _text(layers: int) -> dict[str, Any]:
    shape = text_config(*CONTROLS, layers=layers)
    return {
        **shape,
        "unpadded_vocab_size": shape["vocab_size"],
        "head_dim": 8,
        "swa_num_attention_heads": 4,
        "swa_num_key_value_heads": 2,
        "swa_head_dim": 8,
        "sliding_window_size": 32,
        "d_rel": 4,
        "rel_extent": 64,
        "layer_types": ["hybrid_sliding"] * (layers - 1) + ["hybrid"],
        "moe_intermediate_size": 24,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "n_layers_per_attn_res_block": 1,
        "route_scale": 1.0,
    }
