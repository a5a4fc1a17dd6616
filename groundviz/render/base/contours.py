"""Contours that are known from elsewhere, such as a reader's outline of a lesion, as lines on an image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from groundviz.errors import ImageError, UnknownName
from groundviz.record.types import Bools, Doubles, SourceImage
from groundviz.render.base.overlay import level_lines

_Shapes = npt.ArrayLike | Mapping[str, npt.ArrayLike]
Contours = _Shapes | Mapping[int, _Shapes]
"""What is drawn on an image: a bool mask (row, col) of it or several (mask, row, col), a box (top, left,
bottom, right) in its pixels or several (box, 4), or a table of these by name; for several images, these
by the number of the image."""

Lines = Mapping[int, Sequence[Doubles]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outline:
    """One mask or box, by name.

    Attributes:
        name: What it is called; "Outline 1", "Outline 2" and so on where it has no name.
        image: The number of its image.
        mask: bool (row, col) of the image; of a box, the pixels whose centres lie inside.
        lines: float64 (points, 2) each, closed, (row, col) in source pixels.
    """

    name: str
    image: int
    mask: Bools
    lines: tuple[Doubles, ...]


def lines(contours: Contours | None, source_images: Sequence[SourceImage], image: int | None = None) -> Lines:
    """Closed lines, float64 (points, 2) of (row, col) in source pixels, by the number of their image.

    Args:
        contours: As in `outlines`.
        source_images: The images.
        image: As in `outlines`.

    Raises:
        ImageError: As in `outlines`.
        UnknownName: As in `outlines`.

    >>> from groundviz.images import load
    >>> source_image = load(np.zeros((8, 8), np.uint8))
    >>> lines((1, 2, 5, 6), [source_image])[0][0].tolist()
    [[1.0, 2.0], [1.0, 6.0], [5.0, 6.0], [5.0, 2.0], [1.0, 2.0]]
    """
    found: dict[int, list[Doubles]] = {}
    for outline in outlines(contours, source_images, image):
        found.setdefault(outline.image, []).extend(outline.lines)
    return found


def outlines(
    contours: Contours | None, source_images: Sequence[SourceImage], image: int | None = None
) -> tuple[Outline, ...]:
    """Each mask or box by itself, in the order it was given.

    Args:
        contours: Masks or boxes of one image, perhaps by name, or a table of these by the number of the
            image.
        source_images: The images.
        image: The image that `contours` belong to when they are no table; None for the first.

    Raises:
        ImageError: A mask has another size than its image, or there is neither a mask nor a box.
        UnknownName: There is no image of such a number.

    >>> from groundviz.images import load
    >>> source_image = load(np.zeros((8, 8), np.uint8))
    >>> (nodule,) = outlines({"nodule": (1, 2, 5, 6)}, [source_image])
    >>> nodule.name, int(nodule.mask.sum())
    ('nodule', 16)
    """
    if contours is None:
        return ()
    by_image = isinstance(contours, Mapping) and not any(isinstance(key, str) for key in contours)
    table: Mapping[Any, Any] = contours if by_image else {image or 0: contours}  # type: ignore[assignment]
    for number in table:
        if number not in range(len(source_images)):
            raise UnknownName(
                f"There is no image {number!r} to draw contours on: there are {len(source_images)}. "
                "Count them from 0."
            )
    found: list[Outline] = []
    for number, one in table.items():
        # Shapes without names have the empty one.
        named = one if isinstance(one, Mapping) else {"": one}
        for name, shapes in named.items():
            drawn = list(_drawn(np.asarray(shapes), source_images[number].shape))
            for at, (mask, around) in enumerate(drawn, start=1):
                full = name
                if not name:
                    full = f"Outline {len(found) + 1}"
                elif len(drawn) > 1:
                    full = f"{name} {at}"
                found.append(Outline(name=full, image=number, mask=mask, lines=around))
    return tuple(found)


def _drawn(contours: npt.NDArray[Any], shape: tuple[int, int]) -> Iterator[tuple[Bools, tuple[Doubles, ...]]]:
    if contours.dtype == np.bool_ and contours.ndim in (2, 3) and contours.shape[-2:] == shape:
        for mask in contours.reshape(-1, *shape):
            yield mask, tuple(level_lines(mask.astype(np.float32), 0.5))
        return
    numbers = contours.dtype.kind in "iuf" and contours.ndim in (1, 2) and contours.shape[-1] == 4
    if numbers and np.isfinite(contours.astype(np.float64)).all():
        for box in contours.reshape(-1, 4).tolist():
            yield _inside(box, shape), (_box(*box),)
        return
    raise ImageError(
        f"These contours do not fit the image: they are {contours.dtype} of shape {contours.shape}, "
        f"the image has {shape[0]} by {shape[1]} pixels. Give a bool mask of that shape, such as "
        "mask > 0, or boxes (top, left, bottom, right)."
    )


def _inside(box: Sequence[float], shape: tuple[int, int]) -> Bools:
    top, left, bottom, right = box
    # The middles of the pixels.
    row = np.arange(shape[0]) + 0.5
    col = np.arange(shape[1]) + 0.5
    return ((row >= top) & (row < bottom))[:, None] & ((col >= left) & (col < right))[None, :]


def _box(top: float, left: float, bottom: float, right: float) -> Doubles:
    corners = [(top, left), (top, right), (bottom, right), (bottom, left), (top, left)]
    return np.array(corners, dtype=np.float64)
