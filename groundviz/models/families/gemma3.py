"""Gemma 3 and MedGemma.

::

    Gemma3ForConditionalGeneration
    ├── model.vision_tower            SigLIP, 64 by 64 patches of an image of 896 by 896 pixels
    ├── model.multi_modal_projector   averages 4 by 4 patches: 16 by 16 image tokens
    ├── model.language_model          Gemma 3: five layers with a sliding window, one without, ...
    │   └── layers[i].self_attn       tapped
    └── lm_head

The image is squeezed to a square, whatever its shape; image token k is the k-th square of 4 by 4
patches, row by row. Where the image processor says `do_pan_and_scan`, a long image is shown once
more in crops, each squeezed to a square of its own; the overview comes first. The prompt's
`token_type_ids` make the tokens of one image see each other.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from groundviz.models.adapter.grids import in_cells, in_order, with_tokens
from groundviz.models.adapter.image_geometry import square_image
from groundviz.models.adapter.modules import parts_of
from groundviz.models.adapter.vlm import FAMILIES, VLM
from groundviz.models.prompting.encode import finish, read_prompt
from groundviz.models.prompting.formats import Format
from groundviz.record.conversation import Asking
from groundviz.record.geometry import pixel_grid, scale_shift
from groundviz.record.types import Grid, SourceImage
from groundviz.runtime.inputs.encoded import Encoded
from groundviz.runtime.inputs.sites import Parts

FALLBACK = Format(
    turn="<start_of_turn>user\n{images}{question}<end_of_turn>\n<start_of_turn>model\n",
    later="<start_of_turn>user\n{question}<end_of_turn>\n<start_of_turn>model\n",
    answer="{answer}<end_of_turn>\n",
)
# What the processor itself takes where its image processor leaves these open.
CROPS = {
    "pan_and_scan_min_crop_size": 256,
    "pan_and_scan_max_num_crops": 4,
    "pan_and_scan_min_ratio_to_activate": 1.2,
}


class Gemma3:
    """The adapter of Gemma 3 and MedGemma."""

    says = "Gemma 3 and MedGemma: a SigLIP tower, pooled patches, image tokens that see both ways."
    classes = "Gemma3ForConditionalGeneration"
    checkpoints = ("google/medgemma-4b-it", "google/gemma-3-4b-it")

    def matches(self, config: Any) -> bool:
        """True for model type "gemma3"."""
        return getattr(config, "model_type", "") == "gemma3"

    def encode(self, vlm: VLM, source_images: tuple[SourceImage, ...], question: Asking) -> Encoded:
        """Ask about images in the model's own chat template."""
        scanning = _scanning(vlm.processor)
        scans = {"do_pan_and_scan": scanning is not None, **(scanning or {})}
        asked = read_prompt(vlm, source_images, question, FALLBACK, **scans)
        config, shapes = vlm.model.config, asked.shapes
        image = asked.where(config.image_token_id)
        images = []
        for number, shape in enumerate(shapes):
            images += _images(vlm, shape, number, scanning)
        patch = config.vision_config.patch_size
        pooled = config.vision_config.image_size // patch // int(config.mm_tokens_per_image**0.5)
        patches = in_cells(images, (patch, patch), shapes, "vision")
        grids = with_tokens(in_cells(patches, (pooled, pooled), shapes, "language"), image)
        return finish(vlm, asked, cells=in_order(images, patches, grids))

    def parts(self, model: Any) -> Parts:
        """The modules that methods read."""
        return parts_of(model)


def _scanning(processor: Any) -> dict[str, Any] | None:
    """How images are cropped, or None where they are not."""
    own = processor.image_processor
    if not (own.do_pan_and_scan or getattr(processor, "images_kwargs", {}).get("do_pan_and_scan")):
        return None
    return {name: getattr(own, name, None) or usual for name, usual in CROPS.items()}


def _images(vlm: VLM, shape: tuple[int, int], number: int, scanning: dict[str, Any] | None) -> list[Grid]:
    """The pixels of an image's overview and of its crops."""
    crops = []
    if scanning:
        crops = _crops(vlm.processor.image_processor, shape, scanning)
    label = "overview" if crops else ""
    found = [square_image(vlm, shape, image=number, label=label)]
    size = found[0].rows, found[0].cols
    for count, (top, left, rows, cols) in enumerate(crops, start=1):
        to_source = scale_shift((rows / size[0], cols / size[1]), (float(top), float(left)))
        label = f"tile {count} of {len(crops)}"
        found.append(pixel_grid(size, to_source, shape, image=number, label=label))
    return found


def _crops(
    image_processor: Any, shape: tuple[int, int], scanning: dict[str, Any]
) -> list[tuple[int, int, int, int]]:
    """The top, left, rows and columns of each crop: the processor crops an image of numbered pixels."""
    cut = getattr(image_processor, "pan_and_scan_batched", None) or image_processor.pan_and_scan
    numbered = np.arange(shape[0] * shape[1]).reshape(1, *shape)
    settings = [scanning[name] for name in CROPS]
    boxes = []
    for crop in cut(numbered, *settings):
        top, left = divmod(int(crop[0, 0, 0]), shape[1])
        boxes.append((top, left, *crop.shape[-2:]))
    return boxes


FAMILIES.add("gemma3", Gemma3())
