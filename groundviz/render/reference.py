"""Contours that are known from elsewhere, such as a reader's outline of a lesion, as lines on an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from groundviz.errors import ImageError, UnknownName
from groundviz.render.overlay import level_lines
from groundviz.types import Doubles, Study

Contours = npt.ArrayLike | Mapping[int, npt.ArrayLike]
"""What is drawn on an image: a bool mask (row, col) of it or several (mask, row, col), a box (top, left,
bottom, right) in its pixels or several (box, 4); for several images, these by the number of the image."""

Lines = Mapping[int, Sequence[Doubles]]


def lines(contours: Contours | None, studies: Sequence[Study], image: int | None = None) -> Lines:
    """Closed lines, float64 (points, 2) of (row, col) in source pixels, by the number of their image.

    Args:
        contours: Masks or boxes of one image, or a table of these by the number of the image.
        studies: The images.
        image: The image that `contours` belong to when they are no table; None for the first.

    Raises:
        ImageError: A mask has another size than its image, or there is neither a mask nor a box.
        UnknownName: There is no image of such a number.

    >>> from groundviz.images import load
    >>> study = load(np.zeros((8, 8), np.uint8))
    >>> lines((1, 2, 5, 6), [study])[0][0].tolist()
    [[1.0, 2.0], [1.0, 6.0], [5.0, 6.0], [5.0, 2.0], [1.0, 2.0]]
    """
    if contours is None:
        return {}
    table = contours if isinstance(contours, Mapping) else {image or 0: contours}
    missing = [number for number in table if number not in range(len(studies))]
    if missing:
        raise UnknownName(
            f"There is no image {missing[0]!r} to draw contours on: there are {len(studies)}. "
            "Count them from 0."
        )
    return {number: _lines(np.asarray(one), studies[number].shape) for number, one in table.items()}


def _lines(contours: npt.NDArray[Any], shape: tuple[int, int]) -> list[Doubles]:
    if contours.dtype == np.bool_ and contours.ndim in (2, 3) and contours.shape[-2:] == shape:
        masks = contours.reshape(-1, *shape).astype(np.float32)
        return [line for mask in masks for line in level_lines(mask, 0.5)]
    numbers = contours.dtype.kind in "iuf" and contours.ndim in (1, 2) and contours.shape[-1] == 4
    if numbers and np.isfinite(contours.astype(np.float64)).all():
        return [_box(*box) for box in contours.reshape(-1, 4).tolist()]
    raise ImageError(
        f"These contours do not fit the image: they are {contours.dtype} of shape {contours.shape}, "
        f"the image has {shape[0]} by {shape[1]} pixels. Give a bool mask of that shape, such as "
        "mask > 0, or boxes (top, left, bottom, right)."
    )


def _box(top: float, left: float, bottom: float, right: float) -> Doubles:
    corners = [(top, left), (top, right), (bottom, right), (bottom, left), (top, left)]
    return np.array(corners, dtype=np.float64)
