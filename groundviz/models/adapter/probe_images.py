"""Images that a model is shown to learn something about it, and what it is asked of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from groundviz.record.types import SourceImage

QUESTION = "What does the image show?"


def source_image_of(pixels: Any) -> SourceImage:
    """A source image of float pixels in [0, 1]."""
    pixels = np.asarray(pixels, dtype=np.float32)
    return SourceImage(pixels=pixels, source="array", raw_range=(0.0, 1.0), sha256="0" * 64)


def noise(shape: tuple[int, int]) -> SourceImage:
    """An image of colour noise, the same for each shape."""
    return source_image_of(np.random.default_rng(0).random((*shape, 3)))
