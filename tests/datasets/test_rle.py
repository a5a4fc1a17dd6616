"""Run-length codes, beside the library of those who defined them."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as coco

from groundviz.datasets import rle
from groundviz.errors import DataError


def random_masks(count):
    rng = np.random.default_rng(5)
    for _ in range(count):
        rows, cols = rng.integers(1, 60, 2)
        yield rng.random((rows, cols)) < rng.choice([0.0, 0.02, 0.5, 0.98, 1.0])
    # Runs that take several letters.
    large = np.zeros((700, 900), bool)
    large[100:600, 200:777] = True
    yield large


def test_both_ways_equal_coco() -> None:
    for mask in random_masks(300):
        theirs = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
        ours = rle.encode(mask)
        assert ours["size"] == theirs["size"]
        assert ours["counts"].encode() == theirs["counts"]
        assert np.array_equal(rle.decode(theirs), mask)
        assert np.array_equal(rle.decode(ours), mask)


def test_counts_as_a_list() -> None:
    for mask in random_masks(20):
        code = rle.encode(mask)
        counts = rle._uncompressed(code["counts"])
        assert np.array_equal(rle.decode({"size": code["size"], "counts": counts}), mask)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ({"counts": "123"}, "states no size"),
        ({"size": [2, 3]}, "no counts"),
        ({"size": [3, 3], "counts": "123"}, "counts 6 pixels"),
        ({"size": [2, 3], "counts": "12o"}, "damaged"),
        ({"size": [2, 3], "counts": "1\x01"}, "damaged"),
        ({"size": [2, 3], "counts": "ooooooooooooooooo0"}, "damaged"),
        ({"size": [2, 3], "counts": [3, -1, 4]}, "no whole number from 0 to 6"),
        # These add up to 16 in 64 bits.
        ({"size": [4, 4], "counts": [2**63 - 1, 2**63 - 1, 2 + 16]}, "no whole number from 0 to 16"),
        ({"size": [4, 4], "counts": np.array([2**63 - 1, 2**63 - 1, 18])}, "no whole number"),
        ({"size": [4, 4], "counts": rle._compressed([2**63 - 1, 2**63 - 1, 18])}, "no whole number"),
        ({"size": [4, 4], "counts": [2**70]}, "no whole number"),
        ({"size": [4, 4], "counts": ["a"]}, "no whole number"),
        ({"size": [4, 4], "counts": [None, 16]}, "no whole number"),
        ({"size": [4, 4], "counts": [[8], [8]]}, "no whole number"),
        ({"size": [4, 4], "counts": [0.5, 15.5]}, "no whole number"),
        ([4, 4], "states no size"),
        ({"size": [10**6, 10**6], "counts": "1"}, "no image here has"),
        ({"size": [0, 3], "counts": ""}, "no image here has"),
    ],
)
def test_what_is_no_code_is_refused(code, says) -> None:
    with pytest.raises(DataError, match=says):
        rle.decode(code)


def relative(mask):
    """Kaggle's code as the organisers' own script writes it: column by column, starts since the last end."""
    code, last, current = [], 0, None
    flat = mask.T.reshape(-1)
    for at in range(len(flat) + 1):
        inside = at < len(flat) and flat[at]
        if inside and current is None:
            current = at
        if not inside and current is not None:
            code += [current - last, at - current]
            last, current = at, None
    return " ".join(map(str, code)) or "-1"


def test_relative_codes_and_several_of_one_image() -> None:
    for mask in random_masks(40):
        if mask.size > 10_000:
            continue
        assert np.array_equal(rle.decode(rle.from_relative([relative(mask)], mask.shape)), mask)
        half = mask.copy()
        half[: len(half) // 2] = False
        other = mask & ~half
        # Whoever keeps the last row alone loses a lung.
        both = rle.from_relative([relative(half), relative(other), relative(half)], mask.shape)
        assert np.array_equal(rle.decode(both), mask)
        # As COCO's own library writes it.
        assert both["counts"] == rle.encode(mask)["counts"]


def test_absolute_starts_are_noticed() -> None:
    with pytest.raises(DataError, match="starts may be absolute"):
        rle.from_relative(["1 2 90 8"], (10, 10))
    with pytest.raises(DataError, match="past the image"):
        rle.from_relative([f"1 2 {2**59} {2**59}"], (10, 10))
    for code in ("1 2 3", "1 -2", "1 " + "9" * 5000):
        with pytest.raises(DataError, match="no pairs"):
            rle.from_relative([code], (10, 10))
