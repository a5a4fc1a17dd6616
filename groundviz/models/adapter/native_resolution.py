"""Images that keep their shape, as Pixtral's vision tower takes them.

::

    image ── squeezed to whole patches ──> rows by cols patches; the patches of all images are one sequence
                                           a break token, which is no cell, follows each row of image tokens
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from groundviz.models.adapter.grids import in_cells, in_order, with_tokens
from groundviz.models.prompting.encode import Asked
from groundviz.record.geometry import squeezed
from groundviz.record.types import Grid, Ints
from groundviz.runtime.inputs.encoded import PIXELS, Cells


def any_shape_cells(
    vlm: Any, asked: Asked, shapes: Sequence[tuple[int, int]], merged: int = 1
) -> dict[str, Cells]:
    """The cells of each image at every stage.

    Args:
        vlm: The model with its processor.
        asked: The prompt; its inputs hold the size that each image was resized to.
        shapes: Rows and columns of each source image.
        merged: How many patches an image token covers along a side.

    Raises:
        UnsupportedModel: Model and processor do not belong together.
    """
    config = vlm.model.config
    tokens = asked.where(config.image_token_id)
    images = []
    sizes = asked.inputs["image_sizes"].tolist()
    for number, ((rows, cols), shape) in enumerate(zip(sizes, shapes, strict=True)):
        images.append(squeezed((rows, cols), shape, image=number))
    patch = config.vision_config.patch_size
    patches = in_cells(images, (patch, patch), shapes, "vision")
    grids = with_tokens(in_cells(patches, (merged, merged), shapes, "language"), tokens)
    pixels = Cells(grids=tuple(images), index=_pixel_index(images, asked.inputs[PIXELS].shape))
    return in_order(images, patches, grids) | {"pixels": pixels}


def _pixel_index(images: Sequence[Grid], shape: Sequence[int]) -> Ints:
    """Positions of the pixels' numbers in padded pixel values (image, colour, row, col).

    The processor pads smaller images at the right and at the bottom to the size of the largest.
    """
    numbers = np.arange(np.prod(shape)).reshape(shape).transpose(0, 2, 3, 1)
    own = []
    for grid in images:
        own.append(numbers[grid.image, : grid.rows, : grid.cols].reshape(-1, shape[1]))
    return np.concatenate(own)[None]
