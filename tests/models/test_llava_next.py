"""LLaVA-NeXT's pictures: an overview, a mosaic of tiles without its padding, ends of rows."""

import numpy as np
import pytest

from groundviz.errors import UnsupportedModel
from groundviz.models.llava_next import LlavaNext
from groundviz.models.vlm import VLM
from groundviz.testing.adapters import check_adapter
from groundviz.testing.families.llava_next import tiny_llava_next
from tests.models.probes import QUESTION, block_error, check_path, noise, ramp_error

SIZES = [(45, 31), (61, 37), (33, 64), (20, 90), (17, 17), (120, 77), (90, 20), (16, 16)]


@pytest.fixture(scope="module")
def vlm():
    model, processor = tiny_llava_next()
    return VLM(model=model, processor=processor, family_name="llava_next", name="tiny")


@pytest.mark.parametrize("shape", SIZES)
def test_image_tokens_are_cells_or_ends_of_rows(vlm, shape):
    encoded = vlm.encode((noise(shape),), QUESTION)
    overview, tiles = encoded.prompt.grids
    assert (overview.rows, overview.cols, overview.label, tiles.label) == (4, 4, "overview", "tiles")
    held = np.concatenate([overview.positions, tiles.positions])
    assert (np.diff(held) > 0).all()
    tokens = np.flatnonzero(encoded.prompt.token_ids == vlm.model.config.image_token_id)
    ends = tiles.positions.reshape(tiles.rows, tiles.cols)[:, -1] + 1
    assert sorted([*held, *ends]) == tokens.tolist()


def test_padding_is_left_out(vlm):
    _, tiles = vlm.encode((noise((61, 37)),), QUESTION).prompt.grids
    assert (tiles.rows, tiles.cols) == (8, 6) or (tiles.rows, tiles.cols) == (8, 4)
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


@pytest.mark.parametrize("shape", SIZES[:4])
def test_every_cell_goes_where_the_adapter_says(vlm, shape):
    check_path(vlm, vlm.encode((noise(shape),), QUESTION))


def test_several_images_with_different_numbers_of_tiles(vlm):
    studies = (noise((90, 20)), noise((40, 40), seed=1), noise((31, 75), seed=2))
    encoded = vlm.encode(studies, QUESTION)
    assert [grid.image for grid in encoded.prompt.grids] == [0, 0, 1, 1, 2, 2]
    check_path(vlm, encoded)


def test_the_adapter_keeps_its_promises(vlm):
    check_adapter(vlm, noise((45, 31)))


def test_another_models_processor_is_refused(vlm):
    processor = tiny_llava_next()[1]
    processor.image_processor.image_grid_pinpoints = [[16, 16]]
    with pytest.raises(UnsupportedModel, match="belong together"):
        VLM(vlm.model, processor, "llava_next", "tiny").encode((noise((45, 31)),), QUESTION)


def test_it_knows_its_own(vlm):
    assert LlavaNext().matches(vlm.model.config)
    assert not LlavaNext().matches(vlm.model.config.text_config)
