"""LLaVA-OneVision.

::

    LlavaOnevisionForConditionalGeneration
    ├── model.vision_tower            SigLIP; tiles of 384 by 384 pixels, 27 by 27 patches of 14
    ├── model.multi_modal_projector   token by token: tiles stay tiles
    ├── model.image_newline           behind each row of the mosaic
    ├── model.language_model          Qwen2
    │   └── layers[i].self_attn       tapped
    └── lm_head

The image is squeezed to one tile, and once more resized, padded and cut into the number of tiles that
suits it best. The language model sees the overview, then the tiles as one image without its padding;
where that has over a fifth more cells than nine tiles (or as many as `vision_aspect_ratio` says), it is
read between its patches, at so few places that they are no more. Six of a tile's pixels fill no patch, so
that the places of patches in the mosaic are exact to a fifth of a patch.
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
    turn="<|im_start|>user {images}\n{question}<|im_end|><|im_start|>assistant\n",
    later="<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n",
    answer="{answer}<|im_end|>\n",
    system="<|im_start|>system\n{system}<|im_end|>\n",
)


class LlavaOnevision:
    """The adapter of LLaVA-OneVision."""

    says = "LLaVA-OneVision: an overview and up to 36 tiles, read at fewer places where there are many."
    classes = "LlavaOnevisionForConditionalGeneration"
    checkpoints = ("llava-hf/llava-onevision-qwen2-0.5b-ov-hf", "llava-hf/llava-onevision-qwen2-7b-ov-hf")

    def matches(self, config: Any) -> bool:
        """True for model type "llava_onevision"."""
        return getattr(config, "model_type", "") == "llava_onevision"

    def encode(self, vlm: VLM, source_images: tuple[SourceImage, ...], question: Asking) -> Encoded:
        """Ask about images in the model's own chat template."""
        asked = read_prompt(vlm, source_images, question, FALLBACK)
        config = vlm.model.config
        cells = tiled_cells(vlm, asked, asked.shapes, vision_aspect_ratio=config.vision_aspect_ratio)
        return finish(vlm, asked, cells=cells)

    def parts(self, model: Any) -> Parts:
        """The modules that methods read."""
        return parts_of(model, model.config.vision_feature_layer)


FAMILIES.add("llava_onevision", LlavaOnevision())
