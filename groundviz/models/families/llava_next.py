"""LLaVA-NeXT.

::

    LlavaNextForConditionalGeneration
    ├── model.vision_tower            CLIP; tiles of 336 by 336 pixels, a class token that is dropped
    ├── model.multi_modal_projector   token by token: tiles stay tiles
    ├── model.image_newline           behind each row of the mosaic
    ├── model.language_model          Mistral, Llama, Qwen2
    │   └── layers[i].self_attn       tapped
    └── lm_head

The image is squeezed to one tile, and once more resized, padded and cut into the number of tiles that
suits it best. The language model sees the overview, then the tiles as one image, row by row,
without what is nothing but padding; what that leaves of it is in `groundviz.models.adapter.anyres`.
"""

from __future__ import annotations

from typing import Any

from groundviz.models.adapter.anyres import tiled_cells
from groundviz.models.adapter.modules import parts_of
from groundviz.models.adapter.vlm import FAMILIES, VLM
from groundviz.models.prompting.encode import finish, read_prompt
from groundviz.models.prompting.formats import Format
from groundviz.record.conversation import Asking
from groundviz.record.types import SourceImage
from groundviz.runtime.inputs.encoded import Encoded
from groundviz.runtime.inputs.sites import Parts

FALLBACK = Format(
    turn="USER: {images}\n{question} ASSISTANT:",
    later="USER: {question} ASSISTANT:",
    answer=" {answer}</s>",
    system="{system} ",
)


class LlavaNext:
    """The adapter of LLaVA-NeXT."""

    says = "LLaVA-NeXT (LLaVA 1.6): an overview and tiles, with a token behind each row of them."
    classes = "LlavaNextForConditionalGeneration"
    checkpoints = ("llava-hf/llava-v1.6-mistral-7b-hf",)

    def matches(self, config: Any) -> bool:
        """True for model type "llava_next"."""
        return getattr(config, "model_type", "") == "llava_next"

    def encode(self, vlm: VLM, source_images: tuple[SourceImage, ...], question: Asking) -> Encoded:
        """Ask about images in the model's own chat template."""
        asked = read_prompt(vlm, source_images, question, FALLBACK)
        config = vlm.model.config
        cells = tiled_cells(
            vlm, asked, asked.shapes, vision_feature_select_strategy=config.vision_feature_select_strategy
        )
        return finish(vlm, asked, cells=cells)

    def parts(self, model: Any) -> Parts:
        """The modules that methods read."""
        return parts_of(model, model.config.vision_feature_layer)


FAMILIES.add("llava_next", LlavaNext())
