"""Tiny Gemma 4, Gemma 4 Unified and DiffusionGemma: images of any shape, within a budget of tokens."""

from __future__ import annotations

from typing import Any

import transformers as hf

from groundviz.testing.families.still import NO_FILMS, for_stills
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer
from tests.zoo.torchvision_stand_in import processing

NAMED = {
    "image_token": "<|image|>",
    "boi_token": "<|image>",
    "eoi_token": "<image|>",
    "audio_token": "<|audio|>",
    "boa_token": "<|audio>",
    "eoa_token": "<audio|>",
}
CONTROLS = ("<|turn>", "<turn|>", *NAMED.values(), "<|video|>")
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|turn>{{ message['role'] }}\n"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}\n\n<|image|>\n\n{% else %}{{ part['text'] | trim }}{% endif %}"
    "{% endfor %}<turn|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|turn>model\n{% endif %}"
)
# The processors know budgets of 70 tokens and more.
BUDGET, PATCH, POOLED = 70, 4, 3
CANVAS = 6


def tiny_gemma4(seed: int = 0) -> tuple[Any, Any]:
    """Gemma 4: three by three patches to a token, per-layer embeddings, layers that share their keys.

    The processor hands over rows of flat patches, padded to the budget, and the places of each.

    >>> tiny_gemma4()[0].config.text_config.kv_sharing_modes
    ['store', 'store', 'reuse', 'reuse']
    """
    text = hf.Gemma4TextConfig(
        **_text(layers=4),
        num_kv_shared_layers=2,
        hidden_size_per_layer_input=8,
        vocab_size_per_layer_input=len(vocabulary(*CONTROLS)),
    )
    config = hf.Gemma4Config(text_config=text, vision_config=_tower(), audio_config=None, **_tokens())
    model = random_model(lambda: hf.Gemma4ForConditionalGeneration(config), seed, *CONTROLS)
    return model, _processor(hf.Gemma4Processor, *_halves_of_gemma4())


def tiny_gemma4_unified(seed: int = 0) -> tuple[Any, Any]:
    """Gemma 4 Unified: no tower; a token is a projection of twelve by twelve pixels.

    The image's tokens attend to each other both ways.

    >>> tiny_gemma4_unified()[0].config.vision_config.model_patch_size
    12
    """
    from transformers.models.gemma4_unified.feature_extraction_gemma4_unified import (
        Gemma4UnifiedAudioFeatureExtractor as Hearing,
    )

    text = hf.Gemma4UnifiedTextConfig(**_text(layers=2), use_bidirectional_attention="vision")
    vision = hf.Gemma4UnifiedVisionConfig(
        patch_size=PATCH,
        pooling_kernel_size=POOLED,
        mm_embed_dim=32,
        mm_posemb_size=BUDGET,
        output_proj_dims=32,
    )
    config = hf.Gemma4UnifiedConfig(
        text_config=text, vision_config=vision, audio_config=None, **_tokens(), tie_word_embeddings=False
    )
    model = random_model(lambda: hf.Gemma4UnifiedForConditionalGeneration(config), seed, *CONTROLS)
    module = processing("gemma4_unified.image_processing_gemma4_unified")
    pixels = module.Gemma4UnifiedImageProcessor(**_budget())
    return model, _processor(hf.Gemma4UnifiedProcessor, Hearing(), pixels)


def tiny_diffusion_gemma(seed: int = 0) -> tuple[Any, Any]:
    """DiffusionGemma: an encoder reads the prompt; a decoder fills a canvas of tokens, all at a time.

    Both have the same weights: a mixture of experts, of which each token takes two of four. Its `forward`
    answers for the canvas, which is random unless it is passed as decoder_input_ids.

    >>> tiny_diffusion_gemma()[0].config.canvas_length
    6
    """
    text = hf.DiffusionGemmaTextConfig(
        **_text(layers=2),
        use_bidirectional_attention="vision",
        num_experts=4,
        top_k_experts=2,
        moe_intermediate_size=16,
    )
    ids = _tokens()
    own: dict[str, Any] = {name: ids[name] for name in ("image_token_id", "boi_token_id", "eoi_token_id")}
    config = hf.DiffusionGemmaConfig(text_config=text, vision_config=_tower(), canvas_length=CANVAS, **own)
    model = random_model(lambda: hf.DiffusionGemmaForBlockDiffusion(config), seed, *CONTROLS)
    return model, _processor(hf.Gemma4Processor, *_halves_of_gemma4())


def _text(layers: int) -> dict[str, Any]:
    kinds = ["sliding_attention", "full_attention"] * (layers // 2)
    shape = text_config(*CONTROLS, layers=layers)
    return {**shape, "head_dim": 8, "global_head_dim": 16, "sliding_window": 8, "layer_types": kinds}


def _tower() -> Any:
    return hf.Gemma4VisionConfig(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
        patch_size=PATCH,
        pooling_kernel_size=POOLED,
        position_embedding_size=BUDGET * POOLED,
    )


def _tokens() -> dict[str, Any]:
    ids = vocabulary(*CONTROLS)
    named = {f"{name}_id": ids[token] for name, token in NAMED.items() if name != "eoa_token"}
    return {**named, "eoa_token_index": ids["<audio|>"], "video_token_id": ids["<|video|>"]}


def _budget() -> dict[str, Any]:
    return {"patch_size": PATCH, "pooling_kernel_size": POOLED, "max_soft_tokens": BUDGET}


def _halves_of_gemma4() -> tuple[Any, Any]:
    from transformers.models.gemma4.feature_extraction_gemma4 import Gemma4AudioFeatureExtractor as Hearing
    from transformers.models.gemma4.image_processing_pil_gemma4 import Gemma4ImageProcessorPil

    return Hearing(), Gemma4ImageProcessorPil(**_budget())


def _processor(kind: Any, hearing: Any, pixels: Any) -> Any:
    words = word_tokenizer(*CONTROLS, **NAMED)
    return for_stills(kind)(hearing, pixels, words, NO_FILMS, chat_template=TEMPLATE, image_seq_length=BUDGET)
