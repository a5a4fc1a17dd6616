"""LLaVA 1.5 and its kind.

::

    LlavaForConditionalGeneration
    ├── model.vision_tower            SigLIP or CLIP; one token per patch, perhaps a class token
    ├── model.multi_modal_projector   token by token: the grid stays what it was
    ├── model.language_model          Llama, Mistral, Qwen2, Phi ...
    │   └── layers[i].self_attn       tapped
    └── lm_head

The image is padded, resized and cropped to one square; token k of the image is patch k, row by row.
Where the strategy "default" meets a tower without a class token (SigPhi-Med's SigLIP), the patch in
the corner is dropped in its stead: token k is patch k + 1.
"""

from __future__ import annotations

from typing import Any

from groundviz.models.adapter.grids import in_cells, in_order, with_tokens
from groundviz.models.adapter.image_geometry import square_image
from groundviz.models.adapter.modules import parts_of
from groundviz.models.adapter.vlm import FAMILIES, VLM
from groundviz.models.prompting.defaults import VICUNA
from groundviz.models.prompting.encode import finish, read_prompt
from groundviz.record.conversation import Asking
from groundviz.record.geometry import held_cells
from groundviz.record.types import Bools, Grid, SourceImage
from groundviz.runtime.inputs.encoded import Encoded
from groundviz.runtime.inputs.sites import Parts


class Llava:
    """The adapter of LLaVA 1.5 and its kind."""

    says = "LLaVA 1.5 and its kind: one vision tower, a two-layer projector, a causal decoder."
    classes = "LlavaForConditionalGeneration"
    checkpoints: tuple[str, ...] = ("llava-hf/llava-1.5-7b-hf", "llava-hf/llava-1.5-13b-hf")

    def matches(self, config: Any) -> bool:
        """True for model type "llava", but for towers whose image tokens come with line breaks."""
        return getattr(config, "model_type", "") == "llava" and config.vision_config.model_type != "pixtral"

    def encode(self, vlm: VLM, source_images: tuple[SourceImage, ...], question: Asking) -> Encoded:
        """Ask about images in the model's own chat template."""
        asked = read_prompt(vlm, source_images, question, getattr(vlm.processor, "prompt", VICUNA))
        shapes = asked.shapes
        image = asked.where(vlm.model.config.image_token_id)
        images = [square_image(vlm, shape, image=number) for number, shape in enumerate(shapes)]
        patch = vlm.model.config.vision_config.patch_size
        patches = in_cells(images, (patch, patch), shapes, "vision")
        grids = with_tokens(patches, image, [_kept(vlm, grid) for grid in patches])
        return finish(vlm, asked, cells=in_order(images, patches, grids, before=_class_tokens(vlm)))

    def parts(self, model: Any) -> Parts:
        """The modules that methods read, whatever the tower and the decoder are."""
        return parts_of(model, model.config.vision_feature_layer)


def _kept(vlm: VLM, patches: Grid) -> Bools:
    """Which patches become image tokens: the strategy drops the tower's first token, whatever it is."""
    kept = held_cells(patches)
    # Relatives that have no such setting, as ViP-LLaVA, always drop it.
    strategy = getattr(vlm.model.config, "vision_feature_select_strategy", "default")
    dropped = strategy == "default"
    kept[0] = not dropped or _class_tokens(vlm) > 0
    return kept


def _class_tokens(vlm: VLM) -> int:
    """How many class tokens precede the patches in the tower, 0 or 1."""
    for name, _ in vlm.model.model.vision_tower.named_parameters():
        if name.endswith(("class_embedding", "cls_token")):
            return 1
    return 0


FAMILIES.add("llava", Llava())
