"""Mistral 3.

::

    Mistral3ForConditionalGeneration
    ├── model.vision_tower            Pixtral; patches of 14 pixels, places by row and column
    ├── model.multi_modal_projector   merges 2 by 2 patches to an image token
    ├── model.language_model          Mistral
    │   └── layers[i].self_attn       tapped
    └── lm_head

The image is shrunk to fit into 1540 by 1540 pixels and squeezed to whole image tokens, so that it keeps
its shape to within one. Behind each row of them stands [IMG_BREAK], behind the last one [IMG_END]. The
patches of several images go through the tower in one sequence, none seeing another image's.
"""

from __future__ import annotations

from typing import Any

from groundviz.models.adapter.modules import parts_of
from groundviz.models.adapter.native_resolution import any_shape_cells
from groundviz.models.adapter.vlm import FAMILIES, VLM
from groundviz.models.prompting.encode import finish, read_prompt
from groundviz.models.prompting.formats import Format
from groundviz.record.conversation import Asking
from groundviz.record.types import SourceImage
from groundviz.runtime.inputs.encoded import Encoded
from groundviz.runtime.inputs.sites import Parts

FALLBACK = Format(
    turn="[INST]{images}{question}[/INST]",
    later="[INST]{question}[/INST]",
    answer="{answer}</s>",
    system="[SYSTEM_PROMPT]{system}[/SYSTEM_PROMPT]",
)


class Mistral3:
    """The adapter of Mistral 3."""

    says = "Mistral 3: a Pixtral tower for images of any shape, four patches to an image token."
    classes = "Mistral3ForConditionalGeneration"
    checkpoints = ("mistralai/Mistral-Small-3.1-24B-Instruct-2503",)

    def matches(self, config: Any) -> bool:
        """True for model type "mistral3"."""
        return getattr(config, "model_type", "") == "mistral3"

    def encode(self, vlm: VLM, source_images: tuple[SourceImage, ...], question: Asking) -> Encoded:
        """Ask about images in the model's own chat template."""
        asked = read_prompt(vlm, source_images, question, FALLBACK)
        cells = any_shape_cells(vlm, asked, asked.shapes, merged=vlm.model.config.spatial_merge_size)
        if cells["language"].index.size < 2:
            # transformers drops the only token's dimension, and the model's pass fails.
            raise ValueError("the image has one token alone")
        return finish(vlm, asked, cells=cells)

    def parts(self, model: Any) -> Parts:
        """The modules that methods read."""
        return parts_of(model, model.config.vision_feature_layer)


FAMILIES.add("mistral3", Mistral3())
