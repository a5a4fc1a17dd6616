"""InternVL.

::

    InternVLForConditionalGeneration
    ├── model.vision_tower            InternViT; tiles of 448 by 448 pixels, a class token that is dropped
    ├── model.multi_modal_projector   2 by 2 patches, side by side in one vector: 16 by 16 image tokens
    ├── model.language_model          Qwen2, Qwen3, Llama
    │   └── layers[i].self_attn       tapped
    └── lm_head

The image is squeezed to as many tiles as suit its shape, and cut into them, row by row; if there is
more than one, an overview follows, squeezed to one tile. Image token k of a tile is the k-th square
of 2 by 2 patches, row by row.
"""

from __future__ import annotations

from typing import Any

from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import get_optimal_tiled_canvas

from groundviz.models.adapter.grids import in_cells, in_order, with_tokens
from groundviz.models.adapter.modules import parts_of
from groundviz.models.adapter.vlm import FAMILIES, VLM
from groundviz.models.prompting.encode import finish, read_prompt
from groundviz.models.prompting.formats import Format
from groundviz.record.conversation import Asking
from groundviz.record.geometry import pixel_grid, scale_shift, squeezed
from groundviz.record.types import Grid, SourceImage
from groundviz.runtime.inputs.encoded import Encoded
from groundviz.runtime.inputs.sites import Parts

FALLBACK = Format(
    turn="<|im_start|>user\n{images}\n{question}<|im_end|>\n<|im_start|>assistant\n",
    later="<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n",
    answer="{answer}<|im_end|>\n",
    system="<|im_start|>system\n{system}<|im_end|>\n",
)


class InternVL:
    """The adapter of InternVL."""

    says = "InternVL: tiles and an overview, each an image of its own; four patches to an image token."
    classes = "InternVLForConditionalGeneration"
    checkpoints = ("OpenGVLab/InternVL3-1B-hf", "OpenGVLab/InternVL3-8B-hf")

    def matches(self, config: Any) -> bool:
        """True for model type "internvl"."""
        return getattr(config, "model_type", "") == "internvl"

    def encode(self, vlm: VLM, source_images: tuple[SourceImage, ...], question: Asking) -> Encoded:
        """Ask about images in the model's own chat template."""
        asked = read_prompt(vlm, source_images, question, FALLBACK)
        config = vlm.model.config
        shapes = asked.shapes
        image = asked.where(config.image_token_id)
        images = []
        for number, shape in enumerate(shapes):
            images += _tiles(vlm.processor, shape, number)
        merged = round(1 / config.downsample_ratio)
        patches = in_cells(images, config.vision_config.patch_size, shapes, "vision")
        grids = with_tokens(in_cells(patches, (merged, merged), shapes, "language"), image)
        return finish(vlm, asked, cells=in_order(images, patches, grids, before=1))

    def parts(self, model: Any) -> Parts:
        """The modules that methods read."""
        return parts_of(model, model.config.vision_feature_layer)


def _tiles(processor: Any, shape: tuple[int, int], number: int) -> list[Grid]:
    """The pixels of an image's tiles, and of its overview."""
    own, cols, rows = processor.image_processor, 1, 1
    size = own.size["height"], own.size["width"]
    # The processor cuts, whatever its image processor would do by itself.
    if getattr(processor, "images_kwargs", {}).get("crop_to_patches", True) and own.max_patches > 1:
        cols, rows = get_optimal_tiled_canvas(shape, size, own.min_patches, own.max_patches)
    count = rows * cols
    if count == 1:
        return [squeezed(size, shape, image=number)]
    scale = shape[0] / (rows * size[0]), shape[1] / (cols * size[1])
    tiles = []
    for tile in range(count):
        row, col = divmod(tile, cols)
        to_source = scale_shift(scale, (row * shape[0] / rows, col * shape[1] / cols))
        label = f"tile {tile + 1} of {count}"
        tiles.append(pixel_grid(size, to_source, shape, image=number, label=label))
    return [*tiles, squeezed(size, shape, image=number, label="overview")]


FAMILIES.add("internvl", InternVL())
