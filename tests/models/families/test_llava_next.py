"""LLaVA-NeXT's images: an overview, a mosaic of tiles without its padding, ends of rows."""

import pytest

from groundviz.errors import UnsupportedModel
from groundviz.models.adapter.vlm import VLM
from groundviz.testing.families.llava_next import tiny_llava_next
from tests.models.probes import QUESTION, block_error, check_ends_of_rows, noise, ramp_error, sizes

SIZES = sizes((45, 31), (61, 37), (33, 64), (20, 90), (17, 17), (120, 77), (90, 20), (16, 16))


@pytest.fixture(scope="module")
def vlm():
    model, processor = tiny_llava_next()
    return VLM(model=model, processor=processor, family_name="llava_next", name="tiny")


@pytest.mark.parametrize("shape", SIZES)
def test_image_tokens_are_cells_or_ends_of_rows(vlm, shape):
    encoded = vlm.encode((noise(shape),), QUESTION)
    assert (encoded.prompt.grids[0].rows, encoded.prompt.grids[0].cols) == (4, 4)
    check_ends_of_rows(vlm, encoded)


def test_padding_is_left_out(vlm):
    _, tiles = vlm.encode((noise((61, 37)),), QUESTION).prompt.grids
    assert (tiles.rows, tiles.cols) == (8, 4)
    _, seen = vlm.encode((noise((61, 37)),), QUESTION).cells["vision"].grids
    assert (seen.rows, seen.cols) == (8, 8)
    assert not seen.valid.all()


@pytest.mark.parametrize("shape", SIZES)
def test_pixels_lie_where_the_grids_say(vlm, shape):
    assert ramp_error(vlm, shape, patch=4) < 0.5


@pytest.mark.parametrize("shape", [(45, 31), (33, 64)])
def test_a_bright_block_lights_its_cell(vlm, shape):
    cells = vlm.encode((noise(shape),), QUESTION).cells
    assert block_error(vlm, shape, cells["language"], step=5) < 0.25


def test_another_models_processor_is_refused(vlm):
    processor = tiny_llava_next()[1]
    processor.image_processor.image_grid_pinpoints = [[16, 16]]
    with pytest.raises(UnsupportedModel, match="belong together"):
        VLM(vlm.model, processor, "llava_next", "tiny").encode((noise((45, 31)),), QUESTION)
