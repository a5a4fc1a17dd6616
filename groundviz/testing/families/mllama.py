"""A tiny Llama 3.2 Vision: tiles of four by four patches, every second decoder layer attends to them."""

from __future__ import annotations

from typing import Any

import transformers as hf
from transformers.models.mllama.image_processing_pil_mllama import MllamaImageProcessorPil
from transformers.models.mllama.processing_mllama import MllamaProcessor

from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer

IMAGE = "<|image|>"
SPOKEN = ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|python_tag|>")
# As published, the image token is the first that the output head has no row for.
CONTROLS = (*SPOKEN, IMAGE)
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|image|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
TILE, PATCH = 16, 4


def tiny_mllama(seed: int = 0) -> tuple[Any, Any]:
    """Llama 3.2 Vision: up to four tiles of 16 by 16 pixels, a class token in each.

    >>> model, processor = tiny_mllama()
    >>> model.config.text_config.cross_attention_layers
    [1, 3]
    """
    text = {
        **text_config(*CONTROLS, layers=4),
        "vocab_size": len(vocabulary(*SPOKEN)),
        "cross_attention_layers": [1, 3],
    }
    vision = {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_global_layers": 1,
        "attention_heads": 2,
        "image_size": TILE,
        "patch_size": PATCH,
        "vision_output_dim": 32,
        "intermediate_layers_indices": [0],
    }
    config = hf.MllamaConfig(
        vision_config=vision, text_config=text, image_token_index=vocabulary(*CONTROLS)[IMAGE]
    )
    model = random_model(lambda: hf.MllamaForConditionalGeneration(config), seed, *SPOKEN)
    pixels = MllamaImageProcessorPil(size={"height": TILE, "width": TILE}, max_image_tiles=4)
    return model, MllamaProcessor(pixels, word_tokenizer(*CONTROLS), chat_template=TEMPLATE)
