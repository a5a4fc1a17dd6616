"""Tiny Qwen3-VL with experts, Qwen3.5 with and without, and Qwen4: the towers of Qwen3-VL."""

from __future__ import annotations

from typing import Any

import transformers as hf
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.qwen3_vl.processing_qwen3_vl import Qwen3VLProcessor

from groundviz.testing.families import qwen_vl
from groundviz.testing.families.words import random_model
from tests.zoo.kit.patches import square_patches, still_processor, tower, turned_text

CONTROLS = (*qwen_vl.CONTROLS, "<think>")
THINKING = qwen_vl.TEMPLATE.replace("assistant\n", "assistant\n<think>\n")
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
LINEAR = {
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}


def tiny_qwen3_vl_moe(seed: int = 0) -> tuple[Any, Any]:
    """Qwen3-VL with experts, and a dense layer before them.

    >>> tiny_qwen3_vl_moe()[0].config.text_config.mlp_only_layers
    [0]
    """
    text = turned_text(*CONTROLS, sections=(2, 1, 1), head_dim=8, mlp_only_layers=[0], **EXPERTS)
    vision = _tower(deepstack_visual_indexes=[0])
    config = hf.Qwen3VLMoeConfig(text_config=text, vision_config=vision, **qwen_vl.token_ids(*CONTROLS))
    model = random_model(lambda: hf.Qwen3VLMoeForConditionalGeneration(config), seed, *CONTROLS)
    return model, _processor(qwen_vl.TEMPLATE)


def tiny_qwen3_5(seed: int = 0) -> tuple[Any, Any]:
    """Qwen3.5: a layer with linear attention, then one with gated attention to everything.

    >>> tiny_qwen3_5()[0].config.text_config.layer_types
    ['linear_attention', 'full_attention']
    """
    config = hf.Qwen3_5Config(
        text_config=_text("full_attention"), vision_config=_tower(), **qwen_vl.token_ids(*CONTROLS)
    )
    model = random_model(lambda: hf.Qwen3_5ForConditionalGeneration(config), seed, *CONTROLS)
    return model, _processor(THINKING)


def tiny_qwen3_5_moe(seed: int = 0) -> tuple[Any, Any]:
    """Qwen3.5 with experts, one of which sees everything.

    >>> tiny_qwen3_5_moe()[0].config.text_config.num_experts
    4
    """
    text = _text("full_attention", shared_expert_intermediate_size=24, **EXPERTS)
    config = hf.Qwen3_5MoeConfig(text_config=text, vision_config=_tower(), **qwen_vl.token_ids(*CONTROLS))
    model = random_model(lambda: hf.Qwen3_5MoeForConditionalGeneration(config), seed, *CONTROLS)
    return model, _processor(THINKING)


def tiny_qwen4_exp(seed: int = 0) -> tuple[Any, Any]:
    """Qwen4: two streams of hidden states, features of word pairs, and attention to chosen blocks.

    >>> tiny_qwen4_exp()[0].config.text_config.layer_types
    ['linear_attention', 'indexed_attention']
    """
    text = _text(
        "indexed_attention",
        shared_expert_intermediate_size=24,
        hc_count=2,
        hc_lowrank=8,
        ple_layer_ids=[1],
        heads_per_ngram=2,
        ngram_vocab_size_base=97,
        make_ngram_vocab_size_divisible_by=1,
        split_ngram_parts=1,
        indexer_n_heads=2,
        indexer_kv_heads=1,
        indexer_head_dim=8,
        indexer_budget=32,
        indexer_compress_ratio=4,
        **EXPERTS,
    )
    config = hf.Qwen4ExpConfig(text_config=text, vision_config=_tower(), **qwen_vl.token_ids(*CONTROLS))
    model = random_model(lambda: hf.Qwen4ExpForConditionalGeneration(config), seed, *CONTROLS)
    return model, _processor(THINKING)


def _text(second: str, **more: Any) -> dict[str, Any]:
    layers = {"layer_types": ["linear_attention", second], "head_dim": 16}
    return turned_text(*CONTROLS, sections=(2, 1, 1), turned=0.5, **layers, **LINEAR, **more)


def _tower(**more: Any) -> dict[str, Any]:
    return tower(out_hidden_size=32, num_position_embeddings=16, **more)


def _processor(template: str) -> Any:
    pixels = square_patches(Qwen2VLImageProcessorPil)
    return still_processor(Qwen3VLProcessor, pixels, template, *CONTROLS, **qwen_vl.NAMED)
