"""A tiny LLaVA-NeXT: a CLIP tower that sees an overview and tiles, and a Mistral decoder."""

from __future__ import annotations

import transformers as hf
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil

from groundviz.testing.families.towers import clip
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer

SIDE, PATCH = 16, 4
RESOLUTIONS = [[16, 32], [32, 16], [32, 32], [48, 16], [16, 48]]
CONTROLS = ("[INST]", "[/INST]")
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}[INST] "
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %} [/INST]{% endfor %}"
)


def tiny_llava_next(
    seed: int = 0,
) -> tuple[hf.LlavaNextForConditionalGeneration, hf.LlavaNextProcessor]:
    """A random LLaVA-NeXT and its processor; each tile of 16 by 16 pixels is 4 by 4 image tokens.

    Args:
        seed: Of the weights.

    >>> model, processor = tiny_llava_next()
    >>> processor.image_processor.image_grid_pinpoints == model.config.image_grid_pinpoints
    True
    """
    config = hf.LlavaNextConfig(
        text_config=hf.MistralConfig(**text_config(*CONTROLS), sliding_window=None),
        vision_config=clip(SIDE, PATCH),
        image_token_index=vocabulary()["<image>"],
        image_grid_pinpoints=RESOLUTIONS,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        tie_word_embeddings=False,
    )
    model = random_model(lambda: hf.LlavaNextForConditionalGeneration(config), seed, *CONTROLS)
    pixels = LlavaNextImageProcessorPil(
        size={"shortest_edge": SIDE},
        crop_size={"height": SIDE, "width": SIDE},
        image_grid_pinpoints=RESOLUTIONS,
    )
    processor = hf.LlavaNextProcessor(
        pixels,
        word_tokenizer(*CONTROLS),
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )
    return model, processor
