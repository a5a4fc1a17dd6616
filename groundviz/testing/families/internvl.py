"""A tiny InternVL: tiles and a thumbnail, a class token, 2 by 2 patches to an image token."""

from __future__ import annotations

import transformers as hf
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

from groundviz.testing.families.still import NO_FILMS, for_stills
from groundviz.testing.families.towers import shape
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer

SIDE, PATCH = 16, 2
CONTROLS = ("<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>", "<video>")
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<IMG_CONTEXT>\n{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tiny_internvl(
    seed: int = 0,
) -> tuple[hf.InternVLForConditionalGeneration, hf.InternVLProcessor]:
    """A random InternVL and its processor; each tile of 16 by 16 pixels is 4 by 4 image tokens.

    Args:
        seed: Of the weights.

    >>> model, processor = tiny_internvl()
    >>> processor.image_seq_length, processor.image_processor.max_patches
    (16, 4)
    """
    vision = hf.InternVLVisionConfig(
        **shape(),
        image_size=[SIDE, SIDE],
        patch_size=[PATCH, PATCH],
        use_absolute_position_embeddings=True,
        use_mean_pooling=True,
    )
    config = hf.InternVLConfig(
        text_config=hf.Qwen2Config(**text_config(*CONTROLS)),
        vision_config=vision,
        image_token_id=vocabulary(*CONTROLS)["<IMG_CONTEXT>"],
        image_seq_length=16,
        downsample_ratio=0.5,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        tie_word_embeddings=False,
    )
    model = random_model(lambda: hf.InternVLForConditionalGeneration(config), seed, *CONTROLS)
    words = word_tokenizer(
        *CONTROLS,
        start_image_token="<img>",  # noqa: S106
        end_image_token="</img>",  # noqa: S106
        context_image_token="<IMG_CONTEXT>",  # noqa: S106
        video_token="<video>",  # noqa: S106
    )
    pixels = GotOcr2ImageProcessorPil(
        size={"height": SIDE, "width": SIDE}, crop_to_patches=True, min_patches=1, max_patches=4
    )
    processor = for_stills(hf.InternVLProcessor)(
        pixels, words, NO_FILMS, image_seq_length=16, chat_template=TEMPLATE
    )
    return model, processor
