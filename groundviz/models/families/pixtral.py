"""Pixtral.

::

    LlavaForConditionalGeneration
    ├── model.vision_tower            Pixtral; patches of 16 pixels, places by row and column
    ├── model.multi_modal_projector   token by token: the grid stays what it was
    ├── model.language_model          Mistral
    │   └── layers[i].self_attn       tapped
    └── lm_head

The image is shrunk to fit into 1024 by 1024 pixels and squeezed to whole patches, so that it keeps its
shape to within one. Behind each row of image tokens stands [IMG_BREAK], behind the last one [IMG_END].
The patches of several images go through the tower in one sequence, none seeing another image's.
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
    turn="[INST]{images}{question}[/INST]", later="[INST]{question}[/INST]", answer="{answer}</s>"
)


class Pixtral:
    """The adapter of Pixtral."""

    says = "Pixtral: a tower for images of any shape, rows of image tokens with breaks between them."
    classes = "LlavaForConditionalGeneration with a Pixtral tower"
    checkpoints = ("mistral-community/pixtral-12b",)

    def matches(self, config: Any) -> bool:
        """True for model type "llava" with a vision tower of type "pixtral"."""
        return getattr(config, "model_type", "") == "llava" and config.vision_config.model_type == "pixtral"

    def encode(self, vlm: VLM, source_images: tuple[SourceImage, ...], question: Asking) -> Encoded:
        """Ask about images in the model's own chat template."""
        asked = read_prompt(vlm, source_images, question, FALLBACK)
        cells = any_shape_cells(vlm, asked, asked.shapes)
        return finish(vlm, asked, cells=cells)

    def parts(self, model: Any) -> Parts:
        """The modules that methods read."""
        return parts_of(model, model.config.vision_feature_layer)


FAMILIES.add("pixtral", Pixtral())
