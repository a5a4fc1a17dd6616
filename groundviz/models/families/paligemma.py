"""PaliGemma 1 and 2.

::

    PaliGemmaForConditionalGeneration
    ├── model.vision_tower            SigLIP, 224, 448 or 896 pixels on a side, patches of 14
    ├── model.multi_modal_projector   one linear layer, token by token: the grid stays what it was
    ├── model.language_model          Gemma, or Gemma 2 with sliding windows
    │   └── layers[i].self_attn       tapped
    └── lm_head

The image is squeezed to a square, whatever its shape; image token k is patch k, row by row. There is no
chat template: the question follows the images. The prompt's `token_type_ids` make all of its tokens see
each other; those of an answer see only what is before them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from groundviz.models.adapter.grids import in_cells, in_order, with_tokens
from groundviz.models.adapter.image_geometry import square_image
from groundviz.models.adapter.modules import parts_of
from groundviz.models.adapter.vlm import FAMILIES, VLM
from groundviz.models.prompting.encode import finish, read_prompt
from groundviz.record.conversation import Asking
from groundviz.record.types import SourceImage
from groundviz.runtime.inputs.encoded import Encoded
from groundviz.runtime.inputs.sites import Parts

FALLBACK = "{images}{question}"
# What `token_type_ids` hold for tokens that see only what is before them.
SUFFIX = 1


class PaliGemma:
    """The adapter of PaliGemma 1 and 2."""

    says = "PaliGemma 1 and 2: a SigLIP tower, one image token per patch, a prompt that sees both ways."
    classes = "PaliGemmaForConditionalGeneration"
    checkpoints = ("google/paligemma-3b-mix-224", "google/paligemma2-3b-mix-448")

    def matches(self, config: Any) -> bool:
        """True for model type "paligemma"."""
        return getattr(config, "model_type", "") == "paligemma"

    def encode(self, vlm: VLM, source_images: tuple[SourceImage, ...], question: Asking) -> Encoded:
        """Ask about images; the processor puts the start token between them and the question."""
        asked = read_prompt(vlm, source_images, question, FALLBACK)
        shapes = asked.shapes
        image = asked.where(vlm.model.config.image_token_id)
        images = [square_image(vlm, shape, image=number) for number, shape in enumerate(shapes)]
        patch = vlm.model.config.vision_config.patch_size
        patches = in_cells(images, (patch, patch), shapes, "vision")
        encoded = finish(vlm, asked, cells=in_order(images, patches, with_tokens(patches, image)))
        return replace(encoded, answer_fill={"token_type_ids": SUFFIX})

    def parts(self, model: Any) -> Parts:
        """The modules that methods read."""
        return parts_of(model)


FAMILIES.add("paligemma", PaliGemma())
