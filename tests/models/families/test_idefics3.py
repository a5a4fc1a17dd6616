"""Idefics 3 and SmolVLM: tiles and an overview, shuffled patches, tokens for rows and columns."""

import numpy as np
import pytest
from transformers.image_utils import SizeDict

from groundviz.errors import UnsupportedModel
from groundviz.models.adapter.vlm import VLM
from groundviz.models.load import resolve
from groundviz.testing import check_model
from groundviz.testing.families.idefics3 import tiny_idefics3, tiny_smolvlm
from tests.models.probes import (
    QUESTION,
    block_error,
    check_published,
    noise,
    ramp_error,
    share_in_view,
    sizes,
)
from tests.support.newest import newest

SIZES = sizes((45, 31), (61, 37), (33, 64), (20, 90), (17, 17), (120, 77), (9, 13))
PUBLISHED = [(1023, 767), (513, 2049), (301, 224), (2500, 2048)]
BUILDERS = {
    "idefics3": tiny_idefics3,
    "idefics3 unsplit": lambda: tiny_idefics3(split=False),
    "smolvlm": tiny_smolvlm,
}


def tiny(name):
    model, processor = BUILDERS[name]()
    return VLM(model=model, processor=processor, family_name="idefics3", name="tiny")


@pytest.fixture(scope="module", params=BUILDERS)
def vlm(request):
    return tiny(request.param)


@pytest.mark.parametrize("shape", SIZES)
def test_every_image_token_is_a_cell_of_one_grid(vlm, shape):
    encoded = vlm.encode((noise(shape),), QUESTION)
    grids = encoded.prompt.grids
    tokens = np.flatnonzero(encoded.prompt.token_ids == vlm.model.config.image_token_id)
    positions = np.concatenate([grid.positions for grid in grids])
    assert sorted(positions.tolist()) == tokens.tolist()
    assert encoded.columns.tolist() == positions.tolist()
    assert all(grid.valid.all() for grid in grids)
    assert share_in_view(encoded, shape) == 1.0
    assert [grid.label for grid in grids] in (["tiles", "overview"], [""])


@pytest.mark.parametrize("shape", SIZES)
def test_the_tokens_that_name_tiles_agree(vlm, shape):
    prompt = vlm.encode((noise(shape),), QUESTION).prompt
    *tiles, overview = prompt.grids
    assert prompt.tokens[overview.positions[0] - 1] == "<global-img>"
    assert len(tiles) == vlm.processor.image_processor.do_image_splitting
    for grid in tiles:
        _check_names(prompt, grid)


def _check_names(prompt, tiles):
    down, across = tiles.rows // 4, tiles.cols // 4
    firsts = tiles.positions.reshape(down, 4, across, 4)[:, 0, :, 0]
    named = [prompt.tokens[at - 1] for at in firsts.ravel()]
    assert named == [f"<row_{row + 1}_col_{col + 1}>" for row in range(down) for col in range(across)]


@pytest.mark.parametrize("shape", SIZES)
def test_pixels_lie_where_the_grid_says(vlm, shape):
    assert ramp_error(vlm, shape, patch=2) < 0.4


def test_a_bright_block_lights_its_cell_in_the_tiles_and_in_the_overview(vlm):
    cells = vlm.encode((noise((61, 37)),), QUESTION).cells
    assert block_error(vlm, (61, 37), cells["language"], step=7) < 0.25


def test_pixels_stand_where_the_index_says_and_nowhere_else(vlm):
    encoded = vlm.encode((noise((45, 31)), noise((20, 61))), QUESTION)
    index = encoded.cells["pixels"].index
    assert sorted(index.ravel().tolist()) == list(range(encoded.inputs["pixel_values"].numel()))


def test_several_images_have_grids_each():
    prompt = tiny("smolvlm").encode((noise((45, 31)), noise((16, 16))), QUESTION).prompt
    assert [(grid.image, grid.label) for grid in prompt.grids] == [
        (0, "tiles"),
        (0, "overview"),
        (1, "tiles"),
        (1, "overview"),
    ]


def test_a_image_of_one_tile_has_one_grid():
    vlm = tiny("idefics3")
    vlm.processor.image_processor.size = {"longest_edge": 16}
    encoded = vlm.encode((noise((30, 20)), noise((20, 31))), QUESTION)
    assert [(grid.image, grid.label, len(grid.positions)) for grid in encoded.prompt.grids] == [
        (0, "", 16),
        (1, "", 16),
    ]


# Older transformers fill what places there are, and say nothing.
@newest
def test_a_processor_of_another_model_is_refused():
    vlm = tiny("idefics3")
    vlm.processor.image_seq_len = 9
    with pytest.raises(UnsupportedModel, match="do not belong together"):
        vlm.encode((noise((45, 31)),), QUESTION)


def test_a_processor_that_splits_nothing_is_right_in_everything():
    check_model(*tiny_idefics3(split=False))


@pytest.mark.slow
@pytest.mark.parametrize("shape", PUBLISHED)
def test_images_of_published_sizes(shape):
    """`pytest -m slow tests/models/families/test_idefics3.py`; the weights play no part."""
    model, processor = tiny_idefics3()
    model.config.text_config.max_position_embeddings = 4096
    model.config.vision_config.image_size, model.config.vision_config.patch_size = 364, 14
    processor.image_processor.size = SizeDict(longest_edge=3 * 364)
    processor.image_processor.max_image_size, processor.image_seq_len = {"longest_edge": 364}, 169
    check_published(resolve(model, processor), shape, "language", step=331)
