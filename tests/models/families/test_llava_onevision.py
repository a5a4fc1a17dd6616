"""LLaVA-OneVision's images: a mosaic of tiles, read at fewer places where there are many."""

import numpy as np
import pytest

from groundviz.models.adapter.vlm import VLM
from groundviz.testing import check_model
from groundviz.testing.families.llava_onevision import tiny_llava_onevision
from tests.models.probes import QUESTION, block_error, check_ends_of_rows, noise, ramp_error, sizes

SIZES = sizes((45, 31), (61, 37), (33, 64), (20, 90), (17, 17), (120, 77), (90, 20), (16, 16))


def vlm_of(model, processor):
    return VLM(model=model, processor=processor, family_name="llava_onevision", name="tiny")


@pytest.fixture(scope="module")
def vlm():
    return vlm_of(*tiny_llava_onevision())


@pytest.fixture(scope="module")
def rimmed():
    """Each tile has two rows and columns of pixels that no patch sees."""
    return vlm_of(*tiny_llava_onevision(side=18))


@pytest.mark.parametrize("shape", SIZES)
def test_image_tokens_are_cells_or_ends_of_rows(vlm, rimmed, shape):
    for one in (vlm, rimmed):
        encoded = one.encode((noise(shape),), QUESTION)
        assert (encoded.prompt.grids[0].rows, encoded.prompt.grids[0].cols) == (4, 4)
        check_ends_of_rows(one, encoded)


def test_many_tiles_are_read_at_fewer_places(vlm):
    """Nine tiles of four by four patches come to four tiles' worth of image tokens."""
    cells = vlm.encode((noise((64, 64)),), QUESTION).cells
    vision, language = cells["vision"].grids[1], cells["language"].grids[1]
    assert (vision.rows, vision.cols) == (12, 12)
    assert (language.rows, language.cols) == (8, 8)
    np.testing.assert_allclose(language.to_source[:, :2], 1.5 * vision.to_source[:, :2], rtol=2e-3)
    np.testing.assert_allclose(language.to_source[:, 2], vision.to_source[:, 2], atol=0.05)


@pytest.mark.parametrize("shape", SIZES)
def test_pixels_lie_where_the_grids_say(vlm, rimmed, shape):
    assert ramp_error(vlm, shape, patch=4) < 0.25
    assert ramp_error(rimmed, shape, patch=4) < 0.25


@pytest.mark.parametrize("shape", [(45, 31), (33, 64)])
def test_a_bright_block_lights_its_cell(vlm, shape):
    cells = vlm.encode((noise(shape),), QUESTION).cells
    assert block_error(vlm, shape, cells["language"], step=5) < 0.25


@pytest.mark.parametrize("shape", [(61, 37), (64, 64), (20, 90)])
def test_no_patch_lies_further_off_than_half_the_rim(rimmed, shape):
    """What a tile's patches see, where it stands in the mosaic, against the grid's even cells."""
    cells = rimmed.encode((noise(shape),), QUESTION).cells
    pixels, patches = cells["pixels"].grids[1], cells["vision"].grids[1]
    for axis, count in ((0, patches.rows), (1, patches.cols)):
        number = np.arange(count)
        seen = number // 4 * 18 + number % 4 * 4 + 2
        scale, shift = pixels.to_source[axis, axis], pixels.to_source[axis, 2]
        claimed = (
            (number + 0.5) * patches.to_source[axis, axis] + patches.to_source[axis, 2] - shift
        ) / scale
        off = np.abs(claimed - seen) / 4
        assert off.max() <= 0.25


def test_tiles_with_a_rim_are_right_in_everything():
    """One of a quarter of a patch; published tiles have three sevenths of one, at 27 patches."""
    check_model(*tiny_llava_onevision(side=17))
