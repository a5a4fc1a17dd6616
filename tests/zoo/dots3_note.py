"""A tiny dots3 note: a tower with experts, and a decoder whose layers attend to chosen or to near tokens."""

from __future__ import annotations

from typing import Any

import transformers as hf
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from groundviz.testing.families.still import NO_FILMS, for_stills
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer

PATCH, MERGED = 4, 2
IMAGE, FILM, SOUND = "<|imgpad|>", "<|video_pad|>", "<|audio_comp_pad|>"
CONTROLS = (
    *("<|userprompt|>", "<|endofuserprompt|>", "<|response|>", "<|endofresponse|>"),
    *("<|img|>", "<|endofimg|>", IMAGE, FILM, SOUND),
)
TEMPLATE = (
    "{% for message in messages %}<|userprompt|>"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|img|><|imgpad|><|endofimg|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}<|endofuserprompt|>{% endfor %}"
    "{% if add_generation_prompt %}<|response|>{% endif %}"
)
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 4}
LATENT = {
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "v_head_dim": 8,
    "head_dim": 12,
}
NEAR = {f"swa_{name}": value for name, value in {**HEADS, **LATENT}.items()}


def tiny_dots3_note(seed: int = 0) -> tuple[Any, Any]:
    """dots3 note: the second layer of the tower and all but the first of the decoder have experts.

    >>> tiny_dots3_note()[0].config.text_config.layer_types
    ['indexed_attention', 'indexed_attention', 'sliding_attention']
    """
    ids = vocabulary(*CONTROLS)
    config = hf.Dots3NoteConfig(
        text_config={
            **text_config(*CONTROLS, layers=3),
            **HEADS,
            **LATENT,
            **NEAR,
            "moe_intermediate_size": 24,
            "shared_experts_intermediate_size": 24,
            "n_routed_experts": 4,
            "num_experts_per_tok": 2,
            "index_topk": 512,
            "index_head_dim": 8,
            "index_n_heads": 2,
            "sliding_window": 32,
        },
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 24,
            "moe_intermediate_size": 24,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "patch_size": PATCH,
            "spatial_merge_size": MERGED,
            "adapter_merge_size": MERGED,
            "adapter_in_dim": 16,
            "adapter_out_dim": 32,
            "mlp_layer_types": ["dense", "sparse"],
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
        },
        audio_config={
            "hidden_size": 16,
            "intermediate_size": 24,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "feature_size": 16,
            "downsample_hidden_size": 4,
            "adapter_input_size": 16,
            "adapter_out_dim": 32,
        },
        image_token_id=ids[IMAGE],
        video_token_id=ids[FILM],
        audio_token_id=ids[SOUND],
    )
    model = random_model(lambda: hf.Dots3NoteForConditionalGeneration(config), seed, *CONTROLS)
    pixels = Qwen2VLImageProcessorPil(
        patch_size=PATCH,
        merge_size=MERGED,
        temporal_patch_size=1,
        size={"shortest_edge": 32 * 32, "longest_edge": 64 * 64},
    )
    processor = for_stills(hf.Dots3NoteProcessor)(
        image_processor=pixels,
        tokenizer=word_tokenizer(*CONTROLS),
        video_processor=NO_FILMS,
        feature_extractor=hf.Dots3NoteFeatureExtractor(feature_size=16),
        chat_template=TEMPLATE,
    )
    return model, processor
