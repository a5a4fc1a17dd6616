"""A tiny Llama 4: tiles and a tile of the whole image, two by two patches to an image token, experts."""

from __future__ import annotations

from typing import Any

import transformers as hf

from groundviz.testing.families.towers import shape
from groundviz.testing.families.words import random_model, text_config, vocabulary, word_tokenizer
from tests.zoo.kit.templates import turns
from tests.zoo.torchvision_stand_in import processing

TILE, PATCH = 32, 4
CONTROLS = (
    "<|header_start|>",
    "<|header_end|>",
    "<|eot|>",
    "<|image|>",
    "<|image_start|>",
    "<|image_end|>",
    "<|patch|>",
    "<|tile_x_separator|>",
    "<|tile_y_separator|>",
)
TEMPLATE = turns(
    "<|image|>",
    first="{{ bos_token }}",
    before="<|header_start|>{{ message['role'] }}<|header_end|>\n\n",
    after="<|eot|>",
    asked="<|header_start|>assistant<|header_end|>\n\n",
)


def tiny_llama4(seed: int = 0) -> tuple[Any, Any]:
    """Llama 4: a tile of 32 by 32 pixels is 4 by 4 image tokens, which are <|patch|>.

    Its first layer attends within chunks and has a dense network, its second attends to all and has experts.

    >>> tiny_llama4()[1].image_processor.max_patches
    4
    """
    ids = vocabulary(*CONTROLS)
    text = {
        **text_config(*CONTROLS),
        "head_dim": 8,
        "intermediate_size_mlp": 48,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "no_rope_layers": [1, 0],
        "moe_layers": [1],
        "attention_chunk_size": 256,
        "floor_scale": 64,
    }
    vision = {
        **shape(),
        # The shuffle puts two by two patches into one, which is what the projector reads.
        "intermediate_size": 64,
        "image_size": TILE,
        "patch_size": PATCH,
        "projector_input_dim": 24,
        "projector_output_dim": 24,
        "vision_output_dim": 24,
    }
    config = hf.Llama4Config(
        text_config=text,
        vision_config=vision,
        boi_token_index=ids["<|image_start|>"],
        eoi_token_index=ids["<|image_end|>"],
        image_token_index=ids["<|patch|>"],
    )
    model = random_model(lambda: hf.Llama4ForConditionalGeneration(config), seed, *CONTROLS)
    model.language_model.__class__ = _complete(hf.Llama4ForCausalLM)
    pixels = _in_full(processing("llama4.image_processing_llama4").Llama4ImageProcessor)(
        size={"height": TILE, "width": TILE}, max_patches=4
    )
    processor = hf.Llama4Processor(
        pixels, word_tokenizer(*CONTROLS), patch_size=PATCH, chat_template=TEMPLATE
    )
    return model, processor


def _in_full(kind: Any) -> Any:
    """The image processor, whose pixels have the model's type: its own are always of bfloat16."""

    def normal(self: Any, *arguments: Any) -> Any:
        return kind.rescale_and_normalize(self, *arguments).float()

    return type(kind.__name__, (kind,), {"rescale_and_normalize": normal})


def _complete(kind: Any) -> Any:
    """The decoder, whose output has all that transformers 5.24 asks it for: it lacks one name there."""

    def forward(self: Any, *arguments: Any, **named: Any) -> Any:
        output = kind.forward(self, *arguments, **named)
        if not isinstance(output, tuple) and not hasattr(output, "image_outputs"):
            output.image_outputs = None
        return output

    return type(kind.__name__, (kind,), {"forward": forward})
