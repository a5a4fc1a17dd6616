"""A picture to explain tiny models on."""

import numpy as np
import pytest

from groundviz.record.types import Study


@pytest.fixture(scope="session")
def picture():
    """Of a tiny model's own size, so that its processor has little to do."""
    pixels = np.random.default_rng(1).random((28, 28), dtype=np.float32)
    return Study(pixels=pixels, source="array", raw_range=(0.0, 1.0), sha256="0" * 64)
