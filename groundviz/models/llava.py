"""LLaVA 1.5 and its kind: one vision tower, a two-layer projector, a causal decoder.

::

    LlavaForConditionalGeneration
    ├── model.vision_tower            SigLIP or CLIP; one token per patch, perhaps a class token
    ├── model.multi_modal_projector   token by token: the grid stays what it was
    ├── model.language_model          Llama, Mistral, Qwen2, Phi ...
    │   └── layers[i].self_attn       tapped
    └── lm_head

The image is padded, resized and cropped to one square; token k of the image is patch k, row by row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image
from torch import nn

from groundviz.errors import PromptError, UnsupportedModel
from groundviz.geometry import cells_in_view, compose, invert, scale_shift
from groundviz.models.preprocessing import source_to_model
from groundviz.models.prompts import (
    Encoded,
    adds_special_tokens,
    check_length,
    check_text,
    find_spans,
    render_chat,
)
from groundviz.models.vlm import FAMILIES, VLM
from groundviz.types import Grid, Ints, Prompt, Study

FALLBACK = "USER: <image>\n{question} ASSISTANT:"


class Llava:
    """The adapter of `LlavaForConditionalGeneration`."""

    def matches(self, config: Any) -> bool:
        """True for model type "llava"."""
        return getattr(config, "model_type", "") == "llava"

    def encode(self, vlm: VLM, study: Study, question: str) -> Encoded:
        """Ask about one image in the model's own chat template."""
        processor, tokenizer = vlm.processor, vlm.processor.tokenizer
        asked = check_text(tokenizer, question, "question")
        text = render_chat(processor, asked, FALLBACK)
        inputs = processor(
            images=_picture(study),
            text=text,
            return_tensors="pt",
            add_special_tokens=adds_special_tokens(tokenizer, text),
        )
        token_ids = inputs["input_ids"][0].numpy().astype(np.int64)
        image = np.flatnonzero(token_ids == vlm.model.config.image_token_id)
        check_length(len(token_ids), vlm.model.config)
        expanded = text.replace(processor.image_token, processor.image_token * len(image))
        prompt = Prompt(
            text=text,
            question=asked,
            token_ids=token_ids,
            tokens=tuple(tokenizer.convert_ids_to_tokens(token_ids.tolist())),
            spans=find_spans(tokenizer, token_ids.tolist(), expanded, asked, image),
            grids=(_grid(vlm, study, image),),
        )
        return Encoded(prompt, dict(inputs))

    def decoder_attention(self, model: Any) -> tuple[nn.Module, ...]:
        """The decoder's self-attention modules, first layer first."""
        decoder = model.get_decoder()
        decoder = getattr(decoder, "language_model", decoder)
        return tuple(layer.self_attn for layer in decoder.layers)


def _picture(study: Study) -> Image.Image:
    levels = np.rint(study.pixels * 255).astype(np.uint8)
    return Image.fromarray(levels).convert("RGB")


def _grid(vlm: VLM, study: Study, image: Ints) -> Grid:
    patch = int(vlm.model.config.vision_config.patch_size)
    to_model, size = source_to_model(vlm.processor.image_processor, study.shape)
    rows, cols = size[0] // patch, size[1] // patch
    if len(image) == 0:
        raise PromptError(
            "The prompt has no image token: the chat template dropped the image. "
            "Use the model's own template."
        )
    if rows * cols != len(image):
        raise UnsupportedModel(
            f"The prompt holds {len(image)} image tokens, and the picture has {rows} by {cols} patches. "
            "Model and processor do not belong together; load the processor of this checkpoint."
        )
    to_source = compose(invert(to_model), scale_shift((float(patch), float(patch))))
    return Grid(
        rows=rows,
        cols=cols,
        positions=image.astype(np.int64),
        to_source=to_source,
        valid=cells_in_view(rows, cols, to_source, study.shape),
        stage="language",
    )


FAMILIES.add("llava", Llava())
