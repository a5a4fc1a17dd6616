"""Explains the error of a processor that cannot take an image of some shape."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

import numpy as np

from groundviz.errors import GroundvizError, ImageError
from groundviz.record.conversation import Asking
from groundviz.record.types import SourceImage
from groundviz.runtime.inputs.encoded import Encoded

# Every processor can take a square of this side.
_EASY = 64


class Unplaced(Exception):
    """Why images of some shape cannot be placed in a model, as the end of a sentence."""


def encode_or_say(family: Any, vlm: Any, source_images: tuple[SourceImage, ...], question: Asking) -> Encoded:
    """Encode images and a question; if the shape of an image is the problem, say so.

    Processors fail on very long or very small images with many errors, most of which name no image.
    To find out whether the shape is the cause, the same question is encoded with less extreme shapes.

    Raises:
        ImageError: The processor cannot take the shape of an image, or it cannot be placed in the model, and
            the message names a shape that can; or one image alone can be taken.
        GroundvizError: As the family raises it.
    """
    try:
        return cast(Encoded, family.encode(vlm, source_images, question))
    except GroundvizError:
        raise
    except Exception as error:
        taker, failure = "this model's processor", type(error).__name__
        if isinstance(error, Unplaced):
            taker, failure = "this model", str(error)
        if len(source_images) > 1 and _takes_each(family, vlm, source_images, question):
            raise ImageError(
                f"There are {len(source_images)} images, and {taker} fails on them together "
                f"({failure}), though it takes each by itself. Ask about one image at a time."
            ) from None
        # The narrowest image, and among images of the same proportions the largest.
        worst = min(
            range(len(source_images)),
            key=lambda at: min(source_images[at].shape) / max(source_images[at].shape) ** 2,
        )
        shape = _shape_that_works(family, vlm, source_images, worst, question)
        if shape is None:
            if not isinstance(error, Unplaced):
                raise
            shapes = " and ".join(f"{rows} by {cols}" for rows, cols in (one.shape for one in source_images))
            raise ImageError(
                f"Images of {shapes} pixels cannot be placed in this model: {failure}. Crop or scale them to "
                "a more usual shape."
            ) from None
    rows, cols = source_images[worst].shape
    number = "The image"
    if len(source_images) > 1:
        number = f"Image {worst + 1} of {len(source_images)}"
    raise ImageError(
        f"{number} has {rows} rows and {cols} columns, a shape that {taker} cannot take "
        f"({failure}). It takes {shape[0]} by {shape[1]}: pad it, crop it or scale it to a shape like that."
    )


def _takes_each(family: Any, vlm: Any, source_images: tuple[SourceImage, ...], question: Asking) -> bool:
    """Whether each image can be encoded by itself."""
    for source_image in source_images:
        try:
            family.encode(vlm, (source_image,), question)
        except Exception:
            return False
    return True


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
