"""A tiny Hunyuan 4 with vision: a token after each row of image tokens, several streams in the decoder."""

from __future__ import annotations

from typing import Any

import transformers as hf

from groundviz.testing.families.still import NO_FILMS, for_stills
from groundviz.testing.families.towers import shape
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer
from tests.zoo.kit.experts import latent_experts
from tests.zoo.kit.templates import chatml

PATCH, MERGED = 4, 2
NAMED = {"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"}
CONTROLS = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", *NAMED.values())


def tiny_hy_v4_vl(seed: int = 0) -> tuple[Any, Any]:
    """Hunyuan 4: image tokens of two by two patches; the last of each row is the same for all images.

    That token is an image token to the prompt, so a grid of h by w takes h * (w + 1) of them.

    >>> tiny_hy_v4_vl()[0].config.text_config.hc_mult
    2
    """
    ids = vocabulary(*CONTROLS)
    turning = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [2, 1, 1]}
    text = {
        **text_config(*CONTROLS),
        **latent_experts(n_group=1, topk_group=1, qk_rope_head_dim=8),
        "rope_parameters": turning,
        "mlp_layer_types": ["dense", "sparse"],
        "indexer_types": ["full", "shared"],
        "index_topk": 1024,
        "index_head_dim": 16,
        "index_n_heads": 2,
        "hc_mult": 2,
    }
    config = hf.HYV4VLConfig(
        text_config=text,
        vision_config={
            **shape(),
            "patch_size": PATCH,
            "spatial_merge_size": MERGED,
            "out_hidden_size": text["hidden_size"],
            "max_image_size": 64,
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
    )
    model = random_model(lambda: hf.HYV4VLForConditionalGeneration(config), seed, *CONTROLS)
    pixels = hf.HYV4VLImageProcessorPil(
        patch_size=PATCH, merge_size=MERGED, size={"shortest_edge": 32 * 32, "longest_edge": 64 * 64}
    )
    template = chatml("<|vision_start|><|image_pad|><|vision_end|>")
    words = word_tokenizer(*CONTROLS, **NAMED)
    return model, for_stills(hf.HYV4VLProcessor)(pixels, words, NO_FILMS, chat_template=template)
