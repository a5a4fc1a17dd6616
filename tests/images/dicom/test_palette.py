"""Segmented tables, unpacked by hand and by pydicom's own reading of the standard."""

from __future__ import annotations

import numpy as np
import pytest

from groundviz.errors import ImageError
from groundviz.images.dicom.palette import expanded


def test_discrete_and_linear_segments() -> None:
    words = np.array([0, 1, 100, 1, 4, 0, 0, 2, 9, 8])
    assert expanded(words, 99).tolist() == [100, 75, 50, 25, 0, 9, 8]


def test_longer_than_announced_is_cut() -> None:
    assert expanded(np.array([0, 1, 5, 1, 60000, 5] + [1, 60000, 6] * 1000), 300).tolist() == [5] * 300


@pytest.mark.parametrize("words", [[1, 2, 3], [2, 1, 0, 0], [0, 9, 1, 2], [7, 1, 1]])
def test_damaged_segments(words: list[int]) -> None:
    with pytest.raises(ImageError, match="segmented palette"):
        expanded(np.array(words), 300)


def test_empty_gives_an_empty_table() -> None:
    assert expanded(np.array([], dtype=int), 4).size == 0
