"""Tiny Idefics 3 and SmolVLM: tiles of four by four image tokens, and an overview of all."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import transformers as hf
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.idefics3.processing_idefics3 import Idefics3Processor
from transformers.models.smolvlm import processing_smolvlm
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

from groundviz.testing.families.still import NO_FILMS, for_stills
from groundviz.testing.families.towers import shape
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer

TILE, PATCH, SHUFFLED = 16, 2, 2
TOKENS = (TILE // PATCH // SHUFFLED) ** 2
TILES = tuple(f"<row_{row}_col_{col}>" for row in (1, 2, 3) for col in (1, 2, 3))
CONTROLS = ("<fake_token_around_image>", "<global-img>", "<end_of_utterance>", "<|im_start|>", *TILES)
TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}"
    "{% if message['content'][0]['type'] == 'image' %}{{ ':' }}{% else %}{{ ': ' }}{% endif %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)


def tiny_idefics3(seed: int = 0, *, split: bool = True) -> tuple[Any, Any]:
    """Idefics 3: up to three by three tiles of 16 by 16 pixels.

    Args:
        seed: Of the weights.
        split: Whether images are cut into tiles, rather than squeezed to one.

    >>> tiny_idefics3()[1].image_seq_len
    16
    """
    config = hf.Idefics3Config(**_shape())
    model = random_model(lambda: hf.Idefics3ForConditionalGeneration(config), seed, *CONTROLS)
    pixels = Idefics3ImageProcessorPil(**_sizes(split))
    words = word_tokenizer(*CONTROLS)
    return model, Idefics3Processor(pixels, words, image_seq_len=TOKENS, chat_template=TEMPLATE)


def tiny_smolvlm(seed: int = 0) -> tuple[Any, Any]:
    """SmolVLM: as Idefics 3, with a processor that could also show films.

    >>> tiny_smolvlm()[1].image_seq_len
    16
    """
    config = hf.SmolVLMConfig(**_shape())
    model = random_model(lambda: hf.SmolVLMForConditionalGeneration(config), seed, *CONTROLS)
    pixels = SmolVLMImageProcessorPil(**_sizes(split=True))
    # It spells out the number of a film's frames with a package that images do not need.
    with patch.object(processing_smolvlm, "num2words", str):
        processor = for_stills(processing_smolvlm.SmolVLMProcessor)(
            pixels, word_tokenizer(*CONTROLS), NO_FILMS, image_seq_len=TOKENS, chat_template=TEMPLATE
        )
    return model, processor


def _shape() -> dict[str, Any]:
    return {
        "vision_config": {**shape(), "image_size": TILE, "patch_size": PATCH},
        "text_config": hf.LlamaConfig(**text_config(*CONTROLS)),
        "scale_factor": SHUFFLED,
        "image_token_id": vocabulary(*CONTROLS)["<image>"],
        "pad_token_id": vocabulary()["<pad>"],
    }


def _sizes(split: bool) -> dict[str, Any]:
    return {
        "size": {"longest_edge": 3 * TILE},
        "max_image_size": {"longest_edge": TILE},
        "do_image_splitting": split,
    }
