"""A tiny GIT: the patches stand before the text, without tokens of their own in the prompt."""

from __future__ import annotations

from typing import Any

import transformers as hf
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from groundviz.testing.families.towers import shape
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer
from tests.zoo.kit.framing import framed

SIDE, PATCH = 24, 4
CONTROLS = ("[CLS]", "[SEP]")


def tiny_git(seed: int = 0) -> tuple[Any, Any]:
    """GIT: no image tokens, and no chat template; the prompt is [CLS], a question, [SEP].

    The decoder's sequence is longer than the prompt by a class token and the patches.

    >>> tiny_git()[1].image_processor.crop_size["height"]
    24
    """
    ids, decoder = vocabulary(*CONTROLS), text_config(*CONTROLS)
    del decoder["num_key_value_heads"]
    named = {"bos_token_id": ids["[CLS]"], "eos_token_id": ids["[SEP]"]}
    vision = hf.GitVisionConfig(**shape(), image_size=SIDE, patch_size=PATCH)
    config = hf.GitConfig(**{**decoder, **named}, vision_config=vision.to_dict())
    model = random_model(lambda: hf.GitForCausalLM(config), seed, *CONTROLS)
    pixels = CLIPImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}, do_center_crop=True
    )
    return model, hf.GitProcessor(pixels, framed(word_tokenizer(*CONTROLS), "[CLS]", "[SEP]"))
