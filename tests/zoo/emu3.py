"""A tiny Emu3: the image is written in words of a codebook, each row with an end."""

from __future__ import annotations

from typing import Any

import torch
import transformers as hf

from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer
from tests.zoo.kit.codebook import learn_codebook, look_straight

CODES = 16
CODE_TOKENS = tuple(f"<|visual token {number:06d}|>" for number in range(CODES))
NAMED = {
    "image_token": "<image>",
    "boi_token": "<|image start|>",
    "eoi_token": "<|image end|>",
    "image_wrapper_token": "<|image token|>",
    "eof_token": "<|extra_201|>",
}
CONTROLS = (*NAMED.values(), "<|extra_200|>", *CODE_TOKENS)
TEMPLATE = (
    "{% for message in messages %}{{ message['role'].upper() }}: "
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %} {% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


def tiny_emu3(seed: int = 0) -> tuple[Any, Any]:
    """Emu3: a code for each eight by eight pixels, in images of any shape; a row ends in a token.

    The nearest code is chosen for each cell, so that no gradient reaches the pixels.

    >>> tiny_emu3()[1].downsample_ratio
    8
    """
    from transformers.models.emu3.image_processing_emu3 import Emu3ImageProcessor

    codes = {
        "codebook_size": CODES,
        "embed_dim": 4,
        "latent_channels": 4,
        "base_channels": 32,
        "channel_multiplier": [1, 1, 1, 1],
        "num_res_blocks": 1,
        "attn_resolutions": [3],
        "hidden_size": 32,
    }
    config = hf.Emu3Config(
        text_config=text_config(*CONTROLS), vq_config=codes, vocabulary_map=vocabulary(*CONTROLS)
    )
    model = random_model(lambda: hf.Emu3ForConditionalGeneration(config), seed, *CONTROLS)
    tower, sizes = model.model.vqmodel, torch.tensor([[64, 64]])
    look_straight(tower)
    learn_codebook(tower.quantize, lambda images: tower.encode(images, sizes), (1, 3, 64, 64))
    pixels = Emu3ImageProcessor(min_pixels=32 * 32, max_pixels=64 * 64)
    return model, hf.Emu3Processor(pixels, word_tokenizer(*CONTROLS, **NAMED), chat_template=TEMPLATE)
