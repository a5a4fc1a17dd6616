"""Idefics 2.

::

    Idefics2ForConditionalGeneration
    ├── model.vision_model
    │   ├── encoder.layers[i].self_attn                   tapped; padding is masked
    │   └── post_layernorm                                patch by patch; read as the projector
    ├── model.connector
    │   ├── modality_projection                           patch by patch
    │   └── perceiver_resampler.layers[i].self_attn       tapped; from latents to patches and latents
    ├── model.text_model
    │   └── layers[i].self_attn                           tapped
    └── lm_head

An image is resized, its sides in proportion unless it is very long, and shown in its own shape; if the
processor splits it, its four quarters are, before the whole. All that a prompt shows is padded at the
right and at the bottom to one size. The model attends to the patches that are wholly within the image:
a rim narrower than a patch is not seen. The image tokens are latents, each of which tells of a whole
image, so image cells end before the perceiver.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from transformers.models.idefics2.image_processing_pil_idefics2 import get_resize_output_image_size

from groundviz.models.adapter.grids import in_cells
from groundviz.models.adapter.image_geometry import Size, blank
from groundviz.models.adapter.mismatch import check_belonging
from groundviz.models.adapter.modules import parts_from
from groundviz.models.adapter.tile_layout import COLOURS
from groundviz.models.adapter.vlm import FAMILIES, VLM
from groundviz.models.prompting.defaults import IDEFICS
from groundviz.models.prompting.encode import finish, read_prompt
from groundviz.record.conversation import Asking
from groundviz.record.geometry import pixel_grid, scale_shift
from groundviz.record.types import Grid, Ints, SourceImage
from groundviz.runtime.attention.propagation import Flow
from groundviz.runtime.inputs.encoded import PIXELS, Cells, Encoded
from groundviz.runtime.inputs.sites import Parts

PERCEIVER = Flow("latents", "image", own=True)


class Idefics2:
    """The adapter of Idefics 2."""

    says = "Idefics 2: images in their own shape, each summarised by a perceiver."
    classes = "Idefics2ForConditionalGeneration"
    checkpoints = ("HuggingFaceM4/idefics2-8b",)

    def matches(self, config: Any) -> bool:
        """True for model type "idefics2"."""
        return getattr(config, "model_type", "") == "idefics2"

    def encode(self, vlm: VLM, source_images: tuple[SourceImage, ...], question: Asking) -> Encoded:
        """Ask about images in the model's own chat template."""
        asked = read_prompt(vlm, source_images, question, IDEFICS)
        config, shapes = vlm.model.config, asked.shapes
        image = asked.where(config.image_token_id)
        images = []
        for number, shape in enumerate(shapes):
            images += _images(vlm.processor.image_processor, shape, number)
        latents = config.perceiver_config.resampler_n_latents
        check_belonging(
            len(image) == len(images) * latents,
            f"The prompt holds {len(image)} image tokens, and the model makes {latents} of each of "
            f"{len(images)} images.",
        )
        side = config.vision_config.patch_size
        patches = in_cells(images, (side, side), shapes, "vision")
        # The projector stage is the tower's last norm, which changes patch by patch.
        grids = in_cells(images, (side, side), shapes, "projector")
        # All images have been padded to this size.
        rows, cols = asked.inputs[PIXELS].shape[-2:]
        pixels = np.arange(asked.inputs[PIXELS].numel()).reshape(-1, COLOURS, rows, cols)
        places = np.arange(len(images) * (rows // side) * (cols // side))
        places = _corner(places.reshape(-1, rows // side, cols // side), patches)
        cells = {
            "pixels": Cells(grids=tuple(images), index=_corner(np.moveaxis(pixels, 1, -1), images)[None]),
            "vision": Cells(grids=tuple(patches), index=places),
            "projector": Cells(grids=tuple(grids), index=places),
        }
        return finish(vlm, asked, image=image, grids=grids, cells=cells)

    def parts(self, model: Any) -> Parts:
        """The modules that methods read."""
        inner = model.model
        perceiver = inner.connector.perceiver_resampler.layers
        return parts_from(
            model,
            vision=inner.vision_model.encoder.layers,
            # Not modality_projection: the perceiver normalises its output cell by cell, so that the length
            # of a cell does not matter there, and values times gradients add up to zero.
            projector=inner.vision_model.post_layernorm,
            decoder=inner.text_model,
            resampler=tuple((layer.self_attn, PERCEIVER) for layer in perceiver),
        )


def _images(processor: Any, shape: Size, number: int) -> list[Grid]:
    """The pixels of an image's quarters, where it is split, and of the whole."""
    if not processor.do_image_splitting:
        return [_image(processor, shape, (0, 0, *shape), number, "")]
    rows, cols = shape
    middle, centre = rows // 2, cols // 2
    boxes = {
        "tile 1 of 4": (0, 0, middle, centre),
        "tile 2 of 4": (0, centre, middle, cols),
        "tile 3 of 4": (middle, 0, rows, centre),
        "tile 4 of 4": (middle, centre, rows, cols),
        "overview": (0, 0, rows, cols),
    }
    return [_image(processor, shape, box, number, label) for label, box in boxes.items()]


def _image(processor: Any, shape: Size, box: tuple[int, int, int, int], number: int, label: str) -> Grid:
    """The pixels of a part (top, left, bottom, right) of an image, without padding."""
    top, left, bottom, right = box
    own = bottom - top, right - left
    size = own
    if processor.do_resize:
        size = _resized(processor, own)
    scale = own[0] / size[0], own[1] / size[1]
    return pixel_grid(size, scale_shift(scale, (top, left)), shape, image=number, label=label)


def _resized(processor: Any, shape: Size) -> Size:
    """Rows and columns that a part of this shape is resized to."""
    size = processor.size
    if size.get("shortest_edge") and size.get("longest_edge"):
        rows, cols = get_resize_output_image_size(blank(shape), size)
        return rows, cols
    return size["height"], size["width"]


def _corner(numbers: Ints, grids: list[Grid]) -> Ints:
    """Numbers of padded images (image, row, col, ...) without those of the padding, cell by cell."""
    kept = []
    for padded, grid in zip(numbers, grids, strict=True):
        kept.append(padded[: grid.rows, : grid.cols].reshape(-1, *numbers.shape[3:]))
    return np.concatenate(kept)


FAMILIES.add("idefics2", Idefics2())
