"""A tiny Aria: queries summarise the patches of each crop, and the decoder is a mixture of experts."""

from __future__ import annotations

from typing import Any

import transformers as hf

from groundviz.testing.families.towers import shape
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer

# The processor always asks for crops of 980 pixels: large patches keep their number small.
SIDE, PATCH, QUERIES = 980, 140, 12
CONTROLS = ("<|img|>", "<|im_start|>", "<|im_end|>", "<fim_prefix>", "<fim_suffix>")
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<fim_prefix><|img|><fim_suffix>{% else %}{{ part['text'] }}"
    "{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tiny_aria(seed: int = 0) -> tuple[Any, Any]:
    """Aria: seven by seven patches of each crop, and twelve queries that attend to them.

    The processor splits an image into crops only if its caller asks so, by split_image=True.

    >>> tiny_aria()[1].size_conversion
    {980: 12}
    """
    from transformers.models.aria.image_processing_pil_aria import AriaImageProcessorPil

    decoder = text_config(*CONTROLS)
    experts: dict[str, Any] = {"moe_num_experts": 4, "moe_topk": 2, "moe_num_shared_experts": 1}
    config = hf.AriaConfig(
        vision_config={"model_type": "idefics3_vision", **shape(), "image_size": SIDE, "patch_size": PATCH},
        text_config=hf.AriaTextConfig(**decoder, **experts).to_dict(),
        projector_patch_to_query_dict={(SIDE // PATCH) ** 2: QUERIES},
        image_token_index=vocabulary(*CONTROLS)["<|img|>"],
    )
    model = random_model(lambda: hf.AriaForConditionalGeneration(config), seed, *CONTROLS)
    words: Any = word_tokenizer(*CONTROLS, image_token="<|img|>")  # noqa: S106
    return model, hf.AriaProcessor(
        AriaImageProcessorPil(), words, chat_template=TEMPLATE, size_conversion={SIDE: QUERIES}
    )
