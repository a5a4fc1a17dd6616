"""Images that keep their shape, as Pixtral's tower takes them.

::

    image ── squeezed to whole patches ──> rows by cols patches, in one sequence with those of other images
                                           each row of image tokens ends in a token of its own: no cell
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
        asked: The prompt; its inputs say how large each image is.
        shapes: Rows and columns of each source image.
        merged: How many patches an image token has on a side.

    Raises:
        UnsupportedModel: Model and processor do not belong together.
    """
    config = vlm.model.config
    image = np.flatnonzero(asked.token_ids == config.image_token_id)
    images = [
        squeezed((rows, cols), shape, image=number)
        for number, ((rows, cols), shape) in enumerate(
            zip(asked.inputs["image_sizes"].tolist(), shapes, strict=True)
        )
    ]
    patch = config.vision_config.patch_size
    patches = in_cells(images, (patch, patch), shapes, "vision")
    grids = with_tokens(in_cells(patches, (merged, merged), shapes, "language"), image)
    pixels = Cells(grids=tuple(images), index=_in_corners(images, asked.inputs[PIXELS].shape))
    return in_order(images, patches, grids) | {"pixels": pixels}


def _in_corners(images: Sequence[Grid], shape: Sequence[int]) -> Ints:
    """Where the numbers of each pixel stand: (image, colour, row, col), margins at small images."""
    numbers = np.arange(np.prod(shape)).reshape(shape).transpose(0, 2, 3, 1)
    return np.concatenate(
        [numbers[one.image, : one.rows, : one.cols].reshape(-1, shape[1]) for one in images]
    )[None]
