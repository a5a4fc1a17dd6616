"""Qwen2-VL, Qwen2.5-VL and Qwen3-VL.

::

    Qwen2VLForConditionalGeneration, Qwen2_5_VL..., Qwen3VL...
    ├── model.visual
    │   ├── patch_embed               one row of `pixel_values` per patch
    │   ├── blocks[i].attn            tapped; Qwen2.5 attends within windows in most of them
    │   ├── merger                    four patches become one image token
    │   └── deepstack_merger_list     Qwen3: earlier layers' patches, added behind the first decoder layers
    ├── model.language_model          turns positions by row and column of an image token (M-RoPE)
    │   └── layers[i].self_attn       tapped
    └── lm_head

The image is squeezed to the nearest whole number of image tokens, 28 or 32 pixels each, and shown
twice, as two frames of a film. The patches of one image token follow one another, so rows of
`pixel_values` are in no image's order; image tokens are, row by row. Qwen2.5's tower reorders the
image tokens once more, window by window, and puts them back behind its merger.

Qwen3 adds patches of earlier layers to the decoder as well. A change of the cells behind the merger does not
change those.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor
from transformers.vision_utils import get_vision_window_index

from groundviz.models.adapter.grids import in_cells, with_tokens
from groundviz.models.adapter.mismatch import check_belonging
from groundviz.models.adapter.modules import parts_from
from groundviz.models.adapter.tile_layout import COLOURS
from groundviz.models.adapter.vlm import FAMILIES, VLM
from groundviz.models.prompting.encode import finish, read_prompt
from groundviz.models.prompting.formats import Format
from groundviz.record.conversation import Asking
from groundviz.record.geometry import squeezed
from groundviz.record.types import Grid, Ints, SourceImage
from groundviz.runtime.inputs.encoded import PIXELS, Cells, Encoded
from groundviz.runtime.inputs.sites import Parts

IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
FALLBACK = Format(
    turn="<|im_start|>user\n{images}{question}<|im_end|>\n<|im_start|>assistant\n",
    later="<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n",
    answer="{answer}<|im_end|>\n",
    system="<|im_start|>system\n{system}<|im_end|>\n",
)


class QwenVL:
    """The adapter of Qwen2-VL, Qwen2.5-VL and Qwen3-VL."""

    says = "Qwen2-VL, Qwen2.5-VL and Qwen3-VL: images of any shape, two by two patches to an image token."
    classes = "Qwen2VLForConditionalGeneration and its 2.5 and 3"
    checkpoints = ("Qwen/Qwen2-VL-2B-Instruct", "Qwen/Qwen2.5-VL-3B-Instruct", "Qwen/Qwen3-VL-4B-Instruct")

    def matches(self, config: Any) -> bool:
        """True for model types "qwen2_vl", "qwen2_5_vl" and "qwen3_vl"."""
        return getattr(config, "model_type", "") in ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")

    def encode(self, vlm: VLM, source_images: tuple[SourceImage, ...], question: Asking) -> Encoded:
        """Ask about images in the model's own chat template."""
        asked = read_prompt(vlm, source_images, question, FALLBACK, marker=IMAGE)
        config = vlm.model.config
        patch, merge = config.vision_config.patch_size, config.vision_config.spatial_merge_size
        _check_patches(config.vision_config, asked.inputs[PIXELS].shape[1])
        image = asked.where(config.image_token_id)
        sizes = asked.inputs["image_grid_thw"]
        shapes, images = asked.shapes, []
        for number, ((_, rows, cols), shape) in enumerate(zip(sizes.tolist(), shapes, strict=True)):
            images.append(squeezed((rows * patch, cols * patch), shape, image=number))
        patches = in_cells(images, (patch, patch), shapes, "vision")
        grids = with_tokens(in_cells(patches, (merge, merge), shapes, "language"), image)
        places = _places(config.vision_config, sizes)
        cells = {
            "pixels": Cells(grids=tuple(images), index=_pixels(config.vision_config, patches)),
            "vision": Cells(grids=tuple(patches), index=_in_blocks(patches, merge, places)),
            "projector": Cells(grids=grids, index=places),
            "language": Cells(grids=grids, index=image),
        }
        return finish(vlm, asked, cells=cells)

    def parts(self, model: Any) -> Parts:
        """The modules that methods read."""
        visual = model.model.visual
        return parts_from(
            model, vision=visual.blocks, projector=visual.merger, decoder=model.model.language_model
        )


def _check_patches(vision: Any, numbers: int) -> None:
    expected = COLOURS * vision.temporal_patch_size * vision.patch_size**2
    check_belonging(
        numbers == expected,
        f"The processor makes patches of {numbers} numbers, and the vision tower takes {expected}.",
    )


def _places(vision: Any, sizes: Tensor) -> Ints:
    """The place of each image token: that of its patches in the tower, and its own behind the merger."""
    if not hasattr(vision, "window_size"):
        return np.arange(int(sizes.prod(dim=1).sum()) // vision.spatial_merge_size**2)
    order, _ = get_vision_window_index(
        sizes,
        spatial_merge_size=vision.spatial_merge_size,
        window_size=vision.window_size,
        patch_size=vision.patch_size,
    )
    return np.asarray(np.argsort(order.numpy()), dtype=np.int64)


def _in_blocks(patches: list[Grid], merge: int, places: Ints) -> Ints:
    """Positions of the patches in the tower, where the patches of an image token follow one another.

    Args:
        patches: The patches of each image.
        merge: How many patches an image token covers along a side.
        places: From `_places`.

    Returns:
        int (patch,), image by image, row by row.
    """
    found, start = [], 0
    for grid in patches:
        rows, cols = grid.rows // merge, grid.cols // merge
        block = places[start : start + rows * cols, None] * merge**2 + np.arange(merge**2)
        start += rows * cols
        found.append(block.reshape(rows, cols, merge, merge).transpose(0, 2, 1, 3).ravel())
    return np.concatenate(found)


def _pixels(vision: Any, patches: list[Grid]) -> Ints:
    """Positions of the pixels' numbers in the flattened patches, int (frame, pixel, colour)."""
    side, frames, merge = vision.patch_size, vision.temporal_patch_size, vision.spatial_merge_size
    found, start = [], 0
    for grid in patches:
        numbers = grid.rows * grid.cols * COLOURS * frames * side**2
        blocks = np.arange(start, start + numbers).reshape(
            grid.rows // merge, grid.cols // merge, merge, merge, COLOURS, frames, side, side
        )
        start += numbers
        found.append(blocks.transpose(5, 0, 2, 6, 1, 3, 7, 4).reshape(frames, -1, COLOURS))
    return np.concatenate(found, axis=1)


FAMILIES.add("qwen_vl", QwenVL())
