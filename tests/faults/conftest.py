"""An image to explain tiny models on."""

import numpy as np
import pytest

from groundviz.record.types import SourceImage


@pytest.fixture(scope="session")
def image():
    """Of a tiny model's own size, so that its processor has little to do."""
    pixels = np.random.default_rng(1).random((28, 28), dtype=np.float32)
    return SourceImage(pixels=pixels, source="array", raw_range=(0.0, 1.0), sha256="0" * 64)
