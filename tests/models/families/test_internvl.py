"""InternVL's images: tiles and an overview, each with a class token, shuffled two by two."""

import numpy as np
import pytest

from groundviz.errors import UnsupportedModel
from groundviz.models.adapter.vlm import VLM
from groundviz.record.geometry import apply
from groundviz.testing.families.internvl import tiny_internvl
from tests.models.probes import QUESTION, block_error, noise, ramp_error, sizes

SIZES = sizes((45, 31), (61, 37), (33, 64), (20, 90), (17, 17), (120, 77), (90, 20), (16, 16))


@pytest.fixture(scope="module")
def vlm():
    model, processor = tiny_internvl()
    return VLM(model=model, processor=processor, family_name="internvl", name="tiny")


@pytest.mark.parametrize("shape", SIZES)
def test_every_image_token_is_a_cell_of_the_grids(vlm, shape):
    encoded = vlm.encode((noise(shape),), QUESTION)
    tokens = np.flatnonzero(encoded.prompt.token_ids == vlm.model.config.image_token_id)
    assert sorted(encoded.columns.tolist()) == tokens.tolist()
    assert all(grid.valid.all() for grid in encoded.prompt.grids)
    cells = [grid.rows * grid.cols for grid in encoded.prompt.grids]
    assert sum(cells) == 16 * len(encoded.inputs["pixel_values"])
    assert cells[-1] == 16


def corners(prompt):
    """Where each run of 16 image tokens begins in the source image: at the top left of a tile."""
    found = {}
    for grid in prompt.grids:
        at = apply(grid.to_source, np.argwhere(np.ones((grid.rows, grid.cols))).astype(float))
        found |= dict(zip(grid.positions.tolist(), at.tolist(), strict=True))
    return np.array([found[position] for position in sorted(found)][::16])


def test_tiles_come_row_by_row_and_the_overview_last(vlm):
    prompt = vlm.encode((noise((61, 37)),), QUESTION).prompt
    assert [grid.label for grid in prompt.grids] == ["tiles", "overview"]
    np.testing.assert_allclose(corners(prompt), [(0, 0), (30.5, 0), (0, 0)], atol=0.2)
    prompt = vlm.encode((noise((64, 64)),), QUESTION).prompt
    expected = [(0, 0), (0, 32), (32, 0), (32, 32), (0, 0)]
    np.testing.assert_allclose(corners(prompt), expected, atol=0.2)


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
