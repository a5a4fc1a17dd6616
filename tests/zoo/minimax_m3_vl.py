"""A tiny MiniMax M3 with vision: blocks of the prompt that an indexer picks, and experts."""

from __future__ import annotations

from typing import Any

import transformers as hf

from groundviz.testing.families.still import NO_FILMS, for_stills
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer
from tests.zoo.kit.templates import turns
from tests.zoo.torchvision_stand_in import processing

PATCH, MERGED = 4, 2
CONTROLS = (
    "]~!b[",
    "]~b]",
    "[e~[",
    "]<]image[>[",
    "]<]video[>[",
    "]<]start of image[>[",
    "]<]end of image[>[",
)
TEMPLATE = turns(
    "]<]image[>[", before="]~b]{{ message['role'] }}\n", after="[e~[\n", asked="]~b]ai\n", first="]~!b["
)


def tiny_minimax_m3_vl(seed: int = 0) -> tuple[Any, Any]:
    """MiniMax M3: image tokens of two by two patches; the second layer attends to blocks and has experts.

    >>> tiny_minimax_m3_vl()[0].config.text_config.layer_types
    ['full_attention', 'minimax_m3_sparse']
    """
    ids = vocabulary(*CONTROLS)
    text = {
        **text_config(*CONTROLS),
        "intermediate_size": 16,
        "dense_intermediate_size": 48,
        "shared_intermediate_size": 16,
        "head_dim": 8,
        "rotary_dim": 4,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10_000.0,
            "partial_rotary_factor": 0.5,
        },
        "num_experts_per_tok": 2,
        "num_local_experts": 4,
        "layer_types": ["full_attention", "minimax_m3_sparse"],
        "mlp_layer_types": ["dense", "sparse"],
        "index_n_heads": 2,
        "index_head_dim": 8,
        "index_block_size": 16,
        # All blocks of a short prompt are picked, as the real one does.
        "index_topk_blocks": 64,
    }
    vision = {
        "hidden_size": 24,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 64,
        "patch_size": PATCH,
        "spatial_merge_size": MERGED,
    }
    config = hf.MiniMaxM3VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_index=ids["]<]image[>["],
        video_token_index=ids["]<]video[>["],
        projector_hidden_size=24,
    )
    model = random_model(lambda: hf.MiniMaxM3SparseForConditionalGeneration(config), seed, *CONTROLS)
    pixels = processing("minimax_m3_vl.image_processing_minimax_m3_vl").MiniMaxM3VLImageProcessor(
        patch_size=PATCH, merge_size=MERGED, size={"shortest_edge": 32 * 32, "longest_edge": 64 * 64}
    )
    processor = for_stills(hf.MiniMaxM3VLProcessor)(
        pixels, word_tokenizer(*CONTROLS), NO_FILMS, chat_template=TEMPLATE
    )
    return model, processor
