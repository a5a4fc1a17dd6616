"""A tiny Chameleon: the image is written in words of a codebook, which the decoder embeds itself."""

from __future__ import annotations

from typing import Any

import transformers as hf

from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer
from tests.zoo.kit.codebook import learn_codebook, look_straight

SIDE, CODES = 24, 16
# Letters stand for the digits of a code's number: B is 1.
CODE_TOKENS = tuple("IMGIMG" + "".join(chr(ord("A") + int(d)) for d in str(n)) + "Z" for n in range(CODES))
NAMED = {"sep_token": "<reserved08706>", "boi_token": "<racm3:break>", "eoi_token": "<eoss>"}
CONTROLS = (*NAMED.values(), *CODE_TOKENS)


def tiny_chameleon(seed: int = 0) -> tuple[Any, Any]:
    """Chameleon: six by six codes for an image, cropped to a square; no chat template.

    The nearest code is chosen for each cell, so that no gradient reaches the pixels.

    >>> tiny_chameleon()[1].image_seq_length
    36
    """
    from transformers.models.chameleon.image_processing_pil_chameleon import ChameleonImageProcessorPil

    ids = vocabulary(*CONTROLS)
    codes = {
        "embed_dim": 8,
        "latent_channels": 8,
        "num_embeddings": CODES,
        "resolution": SIDE,
        "base_channels": 32,
        "channel_multiplier": [1, 1, 1],
        "num_res_blocks": 1,
    }
    config = hf.ChameleonConfig(**text_config(*CONTROLS), vq_config=codes, vocabulary_map=ids)
    model = random_model(lambda: hf.ChameleonForConditionalGeneration(config), seed, *CONTROLS)
    tower = model.model.vqmodel
    look_straight(tower)
    learn_codebook(tower.quantize, tower.encode, (1, 3, SIDE, SIDE))
    pixels = ChameleonImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
    )
    words = word_tokenizer(*CONTROLS, image_token="<image>", **NAMED)  # noqa: S106
    return model, hf.ChameleonProcessor(pixels, words, image_seq_length=(SIDE // 4) ** 2)
