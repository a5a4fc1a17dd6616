"""Llama 3.2 Vision's tiles: a canvas filled up, class tokens, empty tiles, cross-attention's columns."""

import numpy as np
import pytest
import torch
from transformers.image_utils import SizeDict

from groundviz.errors import UnsupportedModel
from groundviz.models.adapter.vlm import VLM
from groundviz.models.load import resolve
from groundviz.testing.families.mllama import tiny_mllama
from tests.models.probes import (
    QUESTION,
    block_error,
    check_published,
    noise,
    ramp_error,
    share_in_view,
    sizes,
)

# Transformers before 5.20 warns of how it calls itself.
pytestmark = pytest.mark.filterwarnings("ignore:.hidden_state. is deprecated:FutureWarning")
SIZES = sizes((45, 31), (61, 37), (33, 64), (20, 90), (17, 17), (120, 77), (9, 13), (90, 11), (14, 30))

PUBLISHED = [(1023, 767), (513, 2049), (301, 224), (2500, 2048)]


@pytest.fixture(scope="module")
def vlm():
    model, processor = tiny_mllama()
    return VLM(model=model, processor=processor, family_name="mllama", name="tiny")


@pytest.mark.parametrize("shape", SIZES)
def test_the_grid_is_the_tiles_that_the_processor_filled(vlm, shape):
    encoded = vlm.encode((noise(shape),), QUESTION)
    [grid] = encoded.prompt.grids
    filled = int(encoded.inputs["aspect_ratio_mask"].sum())
    assert grid.rows * grid.cols == filled * 16 == len(encoded.columns)
    assert (grid.positions == -1).all()
    assert grid.stage == "cross"
    assert share_in_view(encoded, shape) == 1.0
    values = encoded.inputs["pixel_values"].ravel()
    seen = encoded.cells["pixels"].index
    assert len(np.unique(seen)) == seen.size == filled * 3 * 16 * 16
    # What is not in view was filled up with the value of black, or is an empty tile.
    unseen = np.setdiff1d(np.arange(len(values)), seen)
    assert not values[unseen].any()


@pytest.mark.parametrize("shape", SIZES)
def test_pixels_lie_where_the_grid_says(vlm, shape):
    assert ramp_error(vlm, shape, patch=4) < 0.2


def test_a_bright_block_lights_its_patch_in_whichever_tile_it_is(vlm):
    cells = vlm.encode((noise((45, 31)),), QUESTION).cells
    assert block_error(vlm, (45, 31), cells["vision"], step=5) < 0.25


def test_padding_of_the_canvas_shows_nothing(vlm):
    grid = vlm.encode((noise((45, 31)),), QUESTION).prompt.grids[0]
    # 45 by 31 pixels are resized to 32 by 22: the last two of eight columns of patches are empty.
    assert grid.valid[:, :6].all()
    assert not grid.valid[:, 6:].any()


def test_columns_of_cross_attention_skip_class_tokens_and_empty_tiles(vlm):
    encoded = vlm.encode((noise((14, 30)),), QUESTION)
    seen = []

    def keep(module, args, kwargs, output):
        seen.append(output[1])

    model = vlm.model
    model.set_attn_implementation("eager")
    handles = [module.register_forward_hook(keep, with_kwargs=True) for module in vlm.parts().cross_attention]
    try:
        with torch.no_grad():
            model(**encoded.inputs)
    finally:
        model.set_attn_implementation("sdpa")
        for handle in handles:
            handle.remove()
    assert [one.shape[-1] for one in seen] == [4 * 17, 4 * 17]
    filled = int(encoded.inputs["aspect_ratio_mask"].sum())
    assert filled == 2
    for rows in seen:
        looked = torch.nonzero(rows[0, :, -1].amax(dim=0) > 0).flatten().tolist()
        # All of the tiles that are filled, and none of the others.
        assert looked == list(range(filled * 17))
        assert set(encoded.columns) == set(looked) - {tile * 17 for tile in range(filled)}


def test_several_images_have_a_grid_each(vlm):
    encoded = vlm.encode((noise((45, 31)), noise((20, 61))), QUESTION)
    assert [grid.image for grid in encoded.prompt.grids] == [0, 1]
    assert encoded.columns.max() >= 4 * 17
    assert (encoded.prompt.token_ids == vlm.model.config.image_token_id).sum() == 2


def test_every_layer_has_its_attention_module(vlm):
    parts = vlm.parts()
    assert len(parts.decoder_attention) == len(parts.decoder_layers) == 4
    assert [parts.decoder_attention.index(one) for one in parts.cross_attention] == [1, 3]
    assert parts.attending == parts.cross_attention


def test_tiles_of_another_size_are_refused():
    model, processor = tiny_mllama()
    other = VLM(model=model, processor=processor, family_name="mllama", name="tiny")
    model.config.vision_config.image_size = 20
    with pytest.raises(UnsupportedModel, match="do not belong together"):
        other.encode((noise((45, 31)),), QUESTION)


@pytest.mark.slow
@pytest.mark.parametrize("shape", PUBLISHED)
def test_images_of_published_sizes(shape):
    """`pytest -m slow tests/models/families/test_mllama.py`; the weights play no part."""
    model, processor = tiny_mllama()
    model.config.vision_config.image_size, model.config.vision_config.patch_size = 560, 14
    processor.image_processor.size = SizeDict(height=560, width=560)
    check_published(resolve(model, processor), shape, "vision", step=1103)
