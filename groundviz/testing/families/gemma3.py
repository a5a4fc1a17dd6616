"""A tiny Gemma 3: a SigLIP tower, 4 by 4 patches to an image token, a sliding and a full layer."""

from __future__ import annotations

import transformers as hf
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

from groundviz.testing.families.towers import siglip
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer

CONTROLS = ("<start_of_image>", "<end_of_image>", "<image_soft_token>", "<start_of_turn>", "<end_of_turn>")
SIDE = 32
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<start_of_turn>{{ message['role'] }}\n"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<start_of_image>{% else %}{{ part['text'] | trim }}{% endif %}"
    "{% endfor %}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


def tiny_gemma3(
    seed: int = 0,
) -> tuple[hf.Gemma3ForConditionalGeneration, hf.Gemma3Processor]:
    """A random Gemma 3 and its processor; images of 32 by 32 pixels become 4 by 4 image tokens.

    Args:
        seed: Of the weights.

    >>> model, processor = tiny_gemma3()
    >>> model.config.mm_tokens_per_image, processor.image_seq_length
    (16, 16)
    """
    ids = vocabulary(*CONTROLS)
    text = hf.Gemma3TextConfig(
        **text_config(*CONTROLS),
        head_dim=8,
        query_pre_attn_scalar=8,
        sliding_window=8,
        layer_types=["sliding_attention", "full_attention"],
    )
    config = hf.Gemma3Config(
        text_config=text,
        vision_config=siglip(SIDE, patch=2),
        mm_tokens_per_image=16,
        image_token_index=ids["<image_soft_token>"],
        boi_token_index=ids["<start_of_image>"],
        eoi_token_index=ids["<end_of_image>"],
        tie_word_embeddings=False,
    )
    model = random_model(lambda: hf.Gemma3ForConditionalGeneration(config), seed, *CONTROLS)
    words = word_tokenizer(
        *CONTROLS,
        image_token="<image_soft_token>",  # noqa: S106
        boi_token="<start_of_image>",  # noqa: S106
        eoi_token="<end_of_image>",  # noqa: S106
    )
    pixels = Gemma3ImageProcessorPil(
        size={"height": SIDE, "width": SIDE},
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
        pan_and_scan_min_crop_size=16,
        pan_and_scan_max_num_crops=4,
        pan_and_scan_min_ratio_to_activate=1.2,
    )
    return model, hf.Gemma3Processor(pixels, words, chat_template=TEMPLATE, image_seq_length=16)


def tiny_gemma3_cropped(
    seed: int = 0,
) -> tuple[hf.Gemma3ForConditionalGeneration, hf.Gemma3Processor]:
    """The same model, and a processor that shows long images once more in crops ("pan and scan").

    Args:
        seed: Of the weights.

    >>> tiny_gemma3_cropped()[1].image_processor.do_pan_and_scan
    True
    """
    model, processor = tiny_gemma3(seed)
    processor.image_processor.do_pan_and_scan = True
    return model, processor
