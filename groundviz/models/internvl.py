"""InternVL: tiles and an overview, each a picture of its own; four patches to an image token.

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

import numpy as np
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import get_optimal_tiled_canvas

from groundviz.geometry import held_cells, scale_shift
from groundviz.models.encode import finish, read_prompt
from groundviz.models.grids import behind, in_cells, pixel_grid, planes, with_tokens
from groundviz.models.towers import parts_of
from groundviz.models.vlm import FAMILIES, VLM
from groundviz.runtime.encoded import Cells, Encoded
from groundviz.runtime.sites import Parts
from groundviz.types import Grid, Study

FALLBACK = "<|im_start|>user\n{images}\n{question}<|im_end|>\n<|im_start|>assistant\n"


class InternVL:
    """The adapter of `InternVLForConditionalGeneration`."""

    checkpoints = ("OpenGVLab/InternVL3-1B-hf", "OpenGVLab/InternVL3-8B-hf")

    def matches(self, config: Any) -> bool:
        """True for model type "internvl"."""
        return getattr(config, "model_type", "") == "internvl"

    def encode(self, vlm: VLM, studies: tuple[Study, ...], question: str) -> Encoded:
        """Ask about images in the model's own chat template."""
        asked = read_prompt(vlm, studies, question, FALLBACK)
        config = vlm.model.config
        image = np.flatnonzero(asked.token_ids == config.image_token_id)
        shapes = [study.shape for study in studies]
        pictures = [
            tile for number, shape in enumerate(shapes) for tile in _tiles(vlm.processor, shape, number)
        ]
        merged = round(1 / config.downsample_ratio)
        patches = [
            in_cells(one, config.vision_config.patch_size, shapes[one.image], "vision") for one in pictures
        ]
        squares = [in_cells(one, (merged, merged), shapes[one.image], "language") for one in patches]
        grids = with_tokens(squares, [held_cells(grid) for grid in squares], image)
        cells = {
            "pixels": Cells(grids=tuple(pictures), index=planes(pictures)),
            "vision": Cells(grids=tuple(patches), index=behind(patches, 1)),
            "projector": Cells(grids=grids, index=np.arange(len(image))),
            "language": Cells(grids=grids, index=image),
        }
        return finish(vlm, asked, image=image, grids=grids, cells=cells)

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
    scale = shape[0] / (rows * size[0]), shape[1] / (cols * size[1])
    found = [
        (
            scale_shift(scale, (tile // cols * shape[0] / rows, tile % cols * shape[1] / cols)),
            f"tile {tile + 1} of {count}" if count > 1 else "",
        )
        for tile in range(count)
    ]
    if count > 1:
        found.append((scale_shift((shape[0] / size[0], shape[1] / size[1])), "overview"))
    return [pixel_grid(size, place, shape, image=number, label=label) for place, label in found]


FAMILIES.add("internvl", InternVL())
