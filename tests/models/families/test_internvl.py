"""InternVL's images: tiles and an overview, each with a class token, shuffled two by two."""

import pytest

from groundviz.errors import UnsupportedModel
from groundviz.models.adapter.vlm import VLM
from groundviz.testing.families.internvl import tiny_internvl
from tests.models.probes import QUESTION, block_error, check_tokens_are_cells, noise, ramp_error, sizes

SIZES = sizes((45, 31), (61, 37), (33, 64), (20, 90), (17, 17), (120, 77), (90, 20), (16, 16))


@pytest.fixture(scope="module")
def vlm():
    model, processor = tiny_internvl()
    return VLM(model=model, processor=processor, family_name="internvl", name="tiny")


@pytest.mark.parametrize("shape", SIZES)
def test_every_image_token_is_a_cell_of_the_grids(vlm, shape):
    encoded = vlm.encode((noise(shape),), QUESTION)
    grids = encoded.prompt.grids
    check_tokens_are_cells(vlm, encoded)
    assert {(grid.rows, grid.cols) for grid in grids} == {(4, 4)}
    assert len(grids) == len(encoded.inputs["pixel_values"])


def test_tiles_come_row_by_row_and_the_overview_last(vlm):
    grids = vlm.encode((noise((61, 37)),), QUESTION).prompt.grids
    assert [grid.label for grid in grids] == ["tile 1 of 2", "tile 2 of 2", "overview"]
    assert [grid.to_source[0, 2] for grid in grids] == [0.0, 30.5, 0.0]
    grids = vlm.encode((noise((64, 64)),), QUESTION).prompt.grids
    corners = [tuple(grid.to_source[:, 2]) for grid in grids]
    assert corners == [(0, 0), (0, 32), (32, 0), (32, 32), (0, 0)]


def test_one_tile_needs_no_overview():
    model, processor = tiny_internvl()
    processor.image_processor.max_patches = 1
    vlm = VLM(model=model, processor=processor, family_name="internvl", name="tiny")
    [grid] = vlm.encode((noise((61, 37)),), QUESTION).prompt.grids
    assert (grid.rows, grid.cols, grid.label) == (4, 4, "")


@pytest.mark.parametrize("shape", SIZES)
def test_pixels_lie_where_the_grids_say(vlm, shape):
    assert ramp_error(vlm, shape, patch=2) < 0.25


@pytest.mark.parametrize("shape", [(45, 31), (33, 64)])
def test_a_bright_block_lights_its_cell(vlm, shape):
    cells = vlm.encode((noise(shape),), QUESTION).cells
    assert block_error(vlm, shape, cells["vision"], step=17) < 0.25
    assert block_error(vlm, shape, cells["language"], step=5) < 0.25


def test_another_models_processor_is_refused(vlm):
    processor = tiny_internvl()[1]
    processor.image_processor.size = {"height": 32, "width": 32}
    with pytest.raises(UnsupportedModel, match="belong together"):
        VLM(vlm.model, processor, "internvl", "tiny").encode((noise((45, 31)),), QUESTION)
