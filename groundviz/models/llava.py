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

from groundviz.errors import UnsupportedModel
from groundviz.geometry import cells_in_view, compose, invert, scale_shift
from groundviz.models.preprocessing import source_to_model
from groundviz.models.prompts import Encoded, check_length, check_text, fill_template, find_spans, tokenise
from groundviz.models.vlm import FAMILIES, VLM
from groundviz.runtime.sites import Parts
from groundviz.types import Grid, Ints, Prompt, Study

FALLBACK = "USER: <image>\n{question} ASSISTANT:"


class Llava:
    """The adapter of `LlavaForConditionalGeneration`."""

    def matches(self, config: Any) -> bool:
        """True for model type "llava"."""
        return getattr(config, "model_type", "") == "llava"

    def encode(self, vlm: VLM, study: Study, question: str) -> Encoded:
        """Ask about one image in the model's own chat template."""
        asked = check_text(vlm.model.config, question, "question")
        chat = fill_template(vlm.processor, asked, FALLBACK)
        inputs, typed = tokenise(vlm.processor, chat, _picture(study))
        token_ids = inputs["input_ids"][0].numpy().astype(np.int64)
        image = np.flatnonzero(token_ids == vlm.model.config.image_token_id)
        check_length(len(token_ids), vlm.model.config)
        prompt = Prompt(
            text=chat.text,
            question=asked,
            token_ids=token_ids,
            tokens=tuple(vlm.processor.tokenizer.convert_ids_to_tokens(token_ids.tolist())),
            spans=find_spans(typed, image),
            grids=(_grid(vlm, study, image),),
        )
        return Encoded(prompt, inputs)

    def pixel_grids(self, vlm: VLM, study: Study) -> tuple[Grid, ...]:
        """One grid: each pixel of the square that the vision tower sees."""
        to_model, size = source_to_model(vlm.processor.image_processor, study.shape)
        to_source = invert(to_model)
        return (
            Grid(
                rows=size[0],
                cols=size[1],
                positions=np.full(size[0] * size[1], -1, dtype=np.int64),
                to_source=to_source,
                valid=cells_in_view(*size, to_source, study.shape),
                stage="pixels",
            ),
        )

    def parts(self, model: Any) -> Parts:
        """The modules that methods read, whatever the tower and the decoder are."""
        tower = model.model.vision_tower
        vision = getattr(tower, "vision_model", tower).encoder.layers
        decoder = model.get_decoder()
        decoder = getattr(decoder, "language_model", decoder)
        chosen = model.config.vision_feature_layer
        # Entry 0 of the tower's hidden states is what goes into its first layer.
        deepest = max(k % (len(vision) + 1) for k in (chosen if isinstance(chosen, list) else [chosen]))
        dropped = model.config.vision_feature_select_strategy == "default"
        return Parts(
            vision_layers=tuple(vision[:deepest]),
            vision_attention=tuple(layer.self_attn for layer in vision[:deepest]),
            class_tokens=int(dropped),
            projector=model.model.multi_modal_projector,
            decoder_layers=tuple(decoder.layers),
            decoder_attention=tuple(layer.self_attn for layer in decoder.layers),
            # Phi-2 has another name for it.
            final_norm=getattr(decoder, "norm", None) or decoder.final_layernorm,
            output_head=model.get_output_embeddings(),
        )


def _picture(study: Study) -> Image.Image:
    levels = np.rint(study.pixels * 255).astype(np.uint8)
    return Image.fromarray(levels).convert("RGB")


def _grid(vlm: VLM, study: Study, image: Ints) -> Grid:
    vision = vlm.model.config.vision_config
    patch = int(vision.patch_size)
    to_model, size = source_to_model(vlm.processor.image_processor, study.shape)
    rows, cols = size[0] // patch, size[1] // patch
    if rows * cols != len(image):
        raise UnsupportedModel(
            f"The prompt holds {len(image)} image tokens, and the picture has {rows} by {cols} patches. "
            "Model and processor do not belong together; load the processor of this checkpoint."
        )
    # Only Pixtral has positions for pictures of any shape.
    if vision.model_type != "pixtral" and size != (vision.image_size, vision.image_size):
        raise UnsupportedModel(
            f"The processor makes pictures of {size[0]} by {size[1]} pixels, and the vision tower takes "
            f"{vision.image_size} by {vision.image_size}. Model and processor do not belong together; load "
            "the processor of this checkpoint."
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
