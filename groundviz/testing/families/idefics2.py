"""A tiny Idefics 2: images of any shape up to eight by eight patches, five latents for each."""

from __future__ import annotations

from typing import Any

import transformers as hf
from transformers.models.idefics2.image_processing_pil_idefics2 import Idefics2ImageProcessorPil
from transformers.models.idefics2.processing_idefics2 import Idefics2Processor

from groundviz.testing.families.towers import shape
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer

LONGEST, PATCH, LATENTS = 32, 4, 5
CONTROLS = ("<fake_token_around_image>", "<end_of_utterance>")
TEMPLATE = (
    "{% for message in messages %}{{ message['role'] | capitalize }}"
    "{% if message['content'][0]['type'] == 'image' %}{{ ':' }}{% else %}{{ ': ' }}{% endif %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)


def tiny_idefics2(seed: int = 0, *, split: bool = True) -> tuple[Any, Any]:
    """Idefics 2: a perceiver's latents attend to the patches of each image, and to themselves.

    Args:
        seed: Of the weights.
        split: Whether an image's quarters are shown, too.

    >>> tiny_idefics2()[1].image_seq_len
    5
    """
    text = hf.MistralConfig(**text_config(*CONTROLS), sliding_window=None)
    tower = {**shape(), "image_size": LONGEST, "patch_size": PATCH}
    perceiver = {
        "hidden_size": text.hidden_size,
        "rms_norm_eps": text.rms_norm_eps,
        "resampler_n_latents": LATENTS,
        "resampler_depth": 2,
        "resampler_n_heads": 4,
        "resampler_head_dim": 8,
        "num_key_value_heads": 2,
    }
    config = hf.Idefics2Config(
        text_config=text,
        vision_config=tower,
        perceiver_config=perceiver,
        image_token_id=vocabulary(*CONTROLS)["<image>"],
    )
    model = random_model(lambda: hf.Idefics2ForConditionalGeneration(config), seed, *CONTROLS)
    pixels = Idefics2ImageProcessorPil(
        size={"shortest_edge": LONGEST // 2, "longest_edge": LONGEST}, do_image_splitting=split
    )
    words = word_tokenizer(*CONTROLS)
    return model, Idefics2Processor(pixels, words, image_seq_len=LATENTS, chat_template=TEMPLATE)
