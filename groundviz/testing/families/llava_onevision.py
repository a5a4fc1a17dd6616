"""A tiny LLaVA-OneVision: a SigLIP tower, and pooled tiles where there are more than four tiles' worth."""

from __future__ import annotations

import transformers as hf
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import (
    LlavaOnevisionImageProcessorPil,
)

from groundviz.testing.families.still import NO_FILMS, for_stills
from groundviz.testing.families.towers import siglip
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer

PATCH, ACROSS = 4, 4
POOLING = "anyres_max_4"
CONTROLS = ("<|im_start|>", "<|im_end|>", "<video>")
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }} "
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>{% endif %}{% endfor %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}\n{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tiny_llava_onevision(
    seed: int = 0,
    *,
    side: int = 16,
) -> tuple[hf.LlavaOnevisionForConditionalGeneration, hf.LlavaOnevisionProcessor]:
    """A random LLaVA-OneVision and its processor; each tile is 4 by 4 patches of 4 by 4 pixels.

    Args:
        seed: Of the weights.
        side: Rows and columns of a tile, 16 to 19 pixels; as in the published models, patches do not
            fill all of a larger one.

    >>> model, processor = tiny_llava_onevision()
    >>> processor.vision_aspect_ratio == model.config.vision_aspect_ratio
    True
    """
    ids = vocabulary(*CONTROLS)
    resolutions = [[rows * side, cols * side] for rows in (1, 2, 3) for cols in (1, 2, 3)]
    config = hf.LlavaOnevisionConfig(
        text_config=hf.Qwen2Config(**text_config(*CONTROLS)),
        vision_config=siglip(side, PATCH),
        image_token_index=ids["<image>"],
        video_token_index=ids["<video>"],
        image_grid_pinpoints=resolutions,
        vision_aspect_ratio=POOLING,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        tie_word_embeddings=False,
    )
    model = random_model(lambda: hf.LlavaOnevisionForConditionalGeneration(config), seed, *CONTROLS)
    pixels = LlavaOnevisionImageProcessorPil(
        size={"height": side, "width": side},
        image_grid_pinpoints=resolutions,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
    processor = for_stills(hf.LlavaOnevisionProcessor)(
        pixels,
        word_tokenizer(*CONTROLS),
        NO_FILMS,
        num_image_tokens=ACROSS**2,
        vision_feature_select_strategy="full",
        chat_template=TEMPLATE,
        vision_aspect_ratio=POOLING,
    )
    return model, processor
