"""Images of a shape that a processor cannot take, refused in words."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

import numpy as np

from groundviz.errors import GroundvizError, ImageError
from groundviz.record.conversation import Asking
from groundviz.record.types import SourceImage
from groundviz.runtime.inputs.encoded import Encoded

# A square of this side is no hard shape for any processor.
_EASY = 64


def encode_or_say(family: Any, vlm: Any, source_images: tuple[SourceImage, ...], question: Asking) -> Encoded:
    """What the family makes of images and question; where the shape of an image is too much, in words.

    Processors fail on very long or very small images in many ways, most of which name no image. Whether
    the shape is to blame is tried out: the same question about the same image, made less extreme.

    Raises:
        ImageError: An image's shape cannot be taken; naming it, and one that can.
        GroundvizError: As the family raises it.
    """
    try:
        return cast(Encoded, family.encode(vlm, source_images, question))
    except GroundvizError:
        raise
    except Exception as error:
        failure = type(error).__name__
        worst = min(
            range(len(source_images)),
            key=lambda at: min(source_images[at].shape) / max(source_images[at].shape) ** 2,
        )
        shape = _shape_that_works(family, vlm, source_images, worst, question)
        if shape is None:
            raise
    rows, cols = source_images[worst].shape
    number = f"Image {worst + 1} of {len(source_images)}" if len(source_images) > 1 else "The image"
    raise ImageError(
        f"{number} has {rows} rows and {cols} columns, a shape that this model's processor cannot take "
        f"({failure}). It takes {shape[0]} by {shape[1]}: pad it, crop it or scale it to a shape like that."
    )


def _shape_that_works(
    family: Any, vlm: Any, source_images: tuple[SourceImage, ...], worst: int, question: Asking
) -> tuple[int, int] | None:
    """The shape nearest to that of the worst image which can be encoded in its place, or None."""
    rows, cols = source_images[worst].shape
    least = 2
    while least <= 2 * max(rows, cols, _EASY):
        shape = max(rows, least), max(cols, least)
        if shape != (rows, cols):
            plain = replace(source_images[worst], pixels=np.zeros(shape, np.float32))
            others = (*source_images[:worst], plain, *source_images[worst + 1 :])
            with suppress(Exception):
                family.encode(vlm, others, question)
                return shape
        least *= 2
    return None
