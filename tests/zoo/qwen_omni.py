"""The tiny thinkers of Qwen2.5-Omni and Qwen3-Omni, which hear, too; nothing is played to them here."""

from __future__ import annotations

from typing import Any

import transformers as hf
from transformers.models.qwen2_5_omni.processing_qwen2_5_omni import Qwen2_5OmniProcessor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.qwen3_omni_moe.processing_qwen3_omni_moe import Qwen3OmniMoeProcessor

from groundviz.testing.families import qwen_vl
from groundviz.testing.families.still import NO_FILMS, for_stills
from groundviz.testing.families.words import random_model, vocabulary, word_tokenizer
from tests.zoo.kit.patches import square_patches, tower, turned_text

EARLIER = {
    "image_token": "<|IMAGE|>",
    "video_token": "<|VIDEO|>",
    "audio_token": "<|AUDIO|>",
    "vision_bos_token": "<|vision_bos|>",
    "vision_eos_token": "<|vision_eos|>",
    "audio_bos_token": "<|audio_bos|>",
    "audio_eos_token": "<|audio_eos|>",
}
LATER = {
    "image_token": "<|image_pad|>",
    "video_token": "<|video_pad|>",
    "audio_token": "<|audio_pad|>",
    "vision_bos_token": "<|vision_start|>",
    "vision_eos_token": "<|vision_end|>",
    "audio_bos_token": "<|audio_start|>",
    "audio_eos_token": "<|audio_end|>",
}
TURNS = ("<|im_start|>", "<|im_end|>")


def tiny_qwen2_5_omni_thinker(seed: int = 0) -> tuple[Any, Any]:
    """Qwen2.5-Omni: the first layer of the tower attends within windows of two by two image tokens.

    >>> tiny_qwen2_5_omni_thinker()[1].image_token
    '<|IMAGE|>'
    """
    controls = (*TURNS, *EARLIER.values())
    ids = vocabulary(*controls)
    config = hf.Qwen2_5OmniThinkerConfig(
        text_config=turned_text(*controls, sections=(1, 1, 2)),
        vision_config=tower(out_hidden_size=32, window_size=16, fullatt_block_indexes=[1]),
        audio_config=_ear(),
        image_token_index=ids["<|IMAGE|>"],
        video_token_index=ids["<|VIDEO|>"],
        audio_token_index=ids["<|AUDIO|>"],
        audio_start_token_id=ids["<|audio_bos|>"],
        audio_end_token_id=ids["<|audio_eos|>"],
        **_around(ids, EARLIER),
    )
    model = random_model(lambda: hf.Qwen2_5OmniThinkerForConditionalGeneration(config), seed, *controls)
    template = qwen_vl.TEMPLATE
    for token in ("image_token", "vision_bos_token", "vision_eos_token"):
        template = template.replace(LATER[token], EARLIER[token])
    return model, _processor(Qwen2_5OmniProcessor, template, *TURNS, **EARLIER)


def tiny_qwen3_omni_moe_thinker(seed: int = 0) -> tuple[Any, Any]:
    """Qwen3-Omni: four experts in each layer; the tower's first layer is added behind the decoder's.

    >>> tiny_qwen3_omni_moe_thinker()[0].config.text_config.num_experts
    4
    """
    controls = (*TURNS, *LATER.values())
    ids = vocabulary(*controls)
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
    config = hf.Qwen3OmniMoeThinkerConfig(
        text_config=turned_text(*controls, sections=(2, 1, 1), head_dim=8, **experts),
        vision_config=tower(out_hidden_size=32, num_position_embeddings=16, deepstack_visual_indexes=[0]),
        audio_config={**_ear(), "downsample_hidden_size": 8},
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        audio_token_id=ids["<|audio_pad|>"],
        audio_start_token_id=ids["<|audio_start|>"],
        **_around(ids, LATER),
    )
    model = random_model(lambda: hf.Qwen3OmniMoeThinkerForConditionalGeneration(config), seed, *controls)
    return model, _processor(Qwen3OmniMoeProcessor, qwen_vl.TEMPLATE, *TURNS, **LATER)


def _processor(kind: Any, template: str, *turns: str, **named: str) -> Any:
    return for_stills(kind)(
        square_patches(Qwen2VLImageProcessorPil),
        NO_FILMS,
        hf.WhisperFeatureExtractor(feature_size=8),
        word_tokenizer(*turns, *named.values(), **named),
        chat_template=template,
    )


def _around(ids: dict[str, int], named: dict[str, str]) -> dict[str, Any]:
    # Published configurations state these, and the models read them; the classes do not declare them.
    return {
        "vision_start_token_id": ids[named["vision_bos_token"]],
        "vision_end_token_id": ids[named["vision_eos_token"]],
    }


def _ear() -> dict[str, Any]:
    return {
        "num_mel_bins": 8,
        "encoder_layers": 1,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 24,
        "d_model": 16,
        "output_dim": 32,
        "max_source_positions": 64,
    }
