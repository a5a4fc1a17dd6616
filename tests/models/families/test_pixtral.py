"""Images that keep their shape, in Pixtral and in Mistral 3, which merges patches two by two."""

import pytest

from groundviz.errors import UnsupportedModel
from groundviz.models.adapter.vlm import VLM
from groundviz.testing.families.pixtral import tiny_mistral3, tiny_pixtral
from tests.models.probes import QUESTION, block_error, check_tokens_are_cells, noise, ramp_error, sizes

SIZES = sizes((45, 31), (61, 37), (33, 64), (20, 90), (17, 17), (120, 77), (5, 7))
BUILDERS = {"pixtral": tiny_pixtral, "mistral3": tiny_mistral3}


@pytest.fixture(scope="module", params=BUILDERS)
def vlm(request):
    model, processor = BUILDERS[request.param]()
    return VLM(model=model, processor=processor, family_name=request.param, name="tiny")


@pytest.mark.parametrize("shape", SIZES)
def test_image_tokens_are_cells_with_breaks_between_their_rows(vlm, shape):
    encoded = vlm.encode((noise(shape),), QUESTION)
    [grid] = encoded.prompt.grids
    check_tokens_are_cells(vlm, encoded)
    behind = grid.positions.reshape(grid.rows, grid.cols)[:, -1] + 1
    breaks = [encoded.prompt.tokens[at] for at in behind]
    assert breaks == ["[IMG_BREAK]"] * (grid.rows - 1) + ["[IMG_END]"]


@pytest.mark.parametrize("shape", SIZES[:-1])
def test_pixels_lie_where_the_grid_says(vlm, shape):
    assert ramp_error(vlm, shape, patch=4) < 0.1


@pytest.mark.parametrize("shape", [(45, 31), (33, 64)])
def test_a_bright_block_lights_its_cell(vlm, shape):
    cells = vlm.encode((noise(shape),), QUESTION).cells
    assert block_error(vlm, shape, cells["vision"], step=11) < 0.1
    assert block_error(vlm, shape, cells["language"], step=5) < 0.1


def test_several_images_of_different_shapes(vlm):
    """The smaller ones stand in a corner of their tensor, and one behind the other in the tower."""
    source_images = (noise((61, 37)), noise((17, 17), seed=1), noise((31, 75), seed=2))
    encoded = vlm.encode(source_images, QUESTION)
    assert [grid.image for grid in encoded.prompt.grids] == [0, 1, 2]
    assert encoded.cells["pixels"].index.size < encoded.inputs["pixel_values"].numel()


def test_another_models_processor_is_refused(vlm):
    processor = BUILDERS[vlm.family_name]()[1]
    processor.patch_size = 8
    with pytest.raises(UnsupportedModel, match="belong together"):
        VLM(vlm.model, processor, vlm.family_name, "tiny").encode((noise((45, 31)),), QUESTION)
