"""Hidden places drawn from what surrounds them: the same as on the whole image, and nowhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest
from skimage.restoration import inpaint_biharmonic

from groundviz.errors import MissingExtra, OptionError
from groundviz.methods.toolkit.inpainting import biharmonic, telea
from groundviz.record.types import Floats

pytest.importorskip("cv2")

NOISE = np.random.default_rng(0).random((40, 31, 3)).astype(np.float32)


def place(rows: slice, cols: slice) -> np.ndarray:
    hidden = np.zeros(NOISE.shape[:2], bool)
    hidden[rows, cols] = True
    return hidden


PLACES = {
    "inside": place(slice(10, 17), slice(12, 20)),
    "in a corner": place(slice(0, 6), slice(25, 31)),
    "along a border": place(slice(33, 40), slice(5, 20)),
    "in two pieces": place(slice(5, 9), slice(5, 9)) | place(slice(12, 15), slice(7, 11)),
}


@pytest.mark.parametrize("where", PLACES)
def test_a_crop_gives_what_the_whole_image_gives(where: str) -> None:
    hidden = PLACES[where]
    whole = inpaint_biharmonic(NOISE, hidden, channel_axis=-1)
    np.testing.assert_allclose(biharmonic(NOISE, hidden), whole, atol=1e-6)


@pytest.mark.parametrize("inpaint", [biharmonic, telea])
@pytest.mark.parametrize("where", PLACES)
def test_nothing_else_changes_and_nothing_hidden_is_used(where: str, inpaint: object) -> None:
    hidden = PLACES[where]
    drawn = inpaint(NOISE, hidden)  # type: ignore[operator]
    assert np.array_equal(drawn[~hidden], NOISE[~hidden])
    other = np.where(hidden[..., None], 1 - NOISE, NOISE)
    np.testing.assert_allclose(inpaint(other, hidden), drawn, atol=1e-4)  # type: ignore[operator]
    assert np.abs(drawn - NOISE)[hidden].max() > 0.1


def test_telea_continues_a_flat_place_exactly() -> None:
    flat = np.full((30, 30, 3), 0.37, np.float32)
    hidden = np.zeros((30, 30), bool)
    hidden[8:20, 9:22] = True
    drawn = telea(np.where(hidden[..., None], np.float32(0.9), flat), hidden)
    # To 16 bits, of which a few are lost on the way.
    np.testing.assert_allclose(drawn, flat, atol=1e-4)


def test_without_opencv_the_error_tells_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingExtra, match=r"groundviz\[opencv\]"):
        telea(NOISE, PLACES["inside"])


def test_no_place_hides_nothing() -> None:
    nothing = np.zeros(NOISE.shape[:2], bool)
    for inpaint in (biharmonic, telea):
        assert np.array_equal(inpaint(NOISE, nothing), NOISE)


@pytest.mark.parametrize("inpaint", [biharmonic, telea])
def test_any_scale_will_do(inpaint: Callable[..., Floats]) -> None:
    if inpaint is telea:
        pytest.importorskip("cv2", reason="not installed: opencv")
    pixels = np.random.default_rng(3).random((40, 30, 2)).astype(np.float32)
    hidden = np.zeros((40, 30), bool)
    hidden[10:20, 5:15] = True
    # As a model sees an image: on both sides of zero.
    found = inpaint(pixels * 4 - 2, hidden)
    np.testing.assert_allclose(found, inpaint(pixels, hidden) * 4 - 2, atol=1e-3)


@pytest.mark.parametrize("inpaint", [biharmonic, telea])
def test_an_image_that_is_hidden_whole_is_refused(inpaint: Callable[..., Floats]) -> None:
    if inpaint is telea:
        pytest.importorskip("cv2", reason="not installed: opencv")
    with pytest.raises(OptionError, match="the whole image is hidden: expected something left"):
        inpaint(np.ones((4, 5, 1), np.float32), np.ones((4, 5), bool))
