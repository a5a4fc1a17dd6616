"""The affine from a source image to the image that a processor makes of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from groundviz.errors import UnsupportedModel
from groundviz.models.adapter.mismatch import check_belonging
from groundviz.record.geometry import compose, invert, pixel_grid, scale_shift
from groundviz.record.types import Doubles, Grid

Size = tuple[int, int]


def blank(shape: Size) -> Any:
    """An image (3, rows, cols) that takes no memory, for functions that only need an image's size.

    >>> blank((1024, 768)).strides
    (0, 0, 0)
    """
    return np.broadcast_to(np.uint8(0), (3, *shape))


def source_to_model(processor: Any, shape: Size) -> tuple[Doubles, Size]:
    """Follow an image through pad, resize and centre crop, in the order processors apply them.

    Args:
        processor: A transformers image processor, or one with a method `source_to_model` of its own.
        shape: Rows and columns of the source image.

    Returns:
        The affine from source pixels to model pixels, and the model image's rows and columns.

    Raises:
        UnsupportedModel: The processor states the size of its images in an unknown way.
    """
    if hasattr(processor, "source_to_model"):
        known: tuple[Doubles, Size] = processor.source_to_model(shape)
        return known
    affine, size = scale_shift((1.0, 1.0)), shape
    if getattr(processor, "do_pad", False):
        affine, size = _padded_to_square(affine, size)
    if getattr(processor, "do_resize", True):
        affine, size = _resized(affine, size, processor.size)
    if getattr(processor, "do_center_crop", False):
        affine, size = _cropped(affine, size, processor.crop_size)
    return affine, size


def square_image(vlm: Any, shape: Size, *, image: int = 0, label: str = "") -> Grid:
    """The pixels of the square image that the vision tower sees.

    Args:
        vlm: The model with its processor.
        shape: Rows and columns of the source image.
        image: Which source image it is.
        label: As in `Grid`.

    Raises:
        UnsupportedModel: The processor makes images of another size than the tower takes.
    """
    to_model, size = source_to_model(vlm.processor.image_processor, shape)
    side = vlm.model.config.vision_config.image_size
    check_belonging(
        size == (side, side),
        f"The processor makes images of {size[0]} by {size[1]} pixels, and the vision tower takes {side} "
        f"by {side}.",
    )
    return pixel_grid(size, invert(to_model), shape, image=image, label=label)


def _padded_to_square(affine: Doubles, size: Size) -> tuple[Doubles, Size]:
    side = max(size)
    return _shifted(affine, ((side - size[0]) // 2, (side - size[1]) // 2)), (side, side)


def _resized(affine: Doubles, size: Size, wanted: Any) -> tuple[Doubles, Size]:
    new = _new_size(size, wanted)
    return compose(scale_shift((new[0] / size[0], new[1] / size[1])), affine), new


def _new_size(size: Size, wanted: Any) -> Size:
    height, width, edge = (_entry(wanted, key) for key in ("height", "width", "shortest_edge"))
    if height and width:
        return height, width
    if edge and not _entry(wanted, "longest_edge"):
        # Transformers rounds the long side down, so the two scales differ slightly.
        other = int(edge * max(size) / min(size))
        if size[1] <= size[0]:
            return other, edge
        return edge, other
    raise UnsupportedModel(
        f"The image processor resizes to {dict(wanted)!r}: expected height and width, or shortest_edge. "
        "Its geometry is not known, so no map could be placed."
    )


def _cropped(affine: Doubles, size: Size, wanted: Any) -> tuple[Doubles, Size]:
    height, width = _entry(wanted, "height"), _entry(wanted, "width")
    # An image smaller than the crop is padded instead: the shift is then positive.
    return _shifted(affine, (-((size[0] - height) // 2), -((size[1] - width) // 2))), (height, width)


def _shifted(affine: Doubles, shift: tuple[int, int]) -> Doubles:
    return compose(scale_shift((1.0, 1.0), (float(shift[0]), float(shift[1]))), affine)


def _entry(size: Any, key: str) -> int:
    # A dict, or transformers' SizeDict in some versions.
    if hasattr(size, "get"):
        value = size.get(key)
    else:
        value = getattr(size, key, None)
    return int(value or 0)
