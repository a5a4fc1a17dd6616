"""Idefics 2: quarters and a whole in their own shapes, padded to one size, summarised by latents."""

import numpy as np
import pytest
import torch
from transformers.image_utils import SizeDict

from groundviz.errors import UnsupportedModel
from groundviz.models.adapter.vlm import VLM
from groundviz.models.load import resolve
from groundviz.testing import check_model
from groundviz.testing.families.idefics2 import tiny_idefics2
from tests.models.probes import QUESTION, block_error, check_published, in_order, noise, ramp_error, sizes

SIZES = sizes((45, 31), (61, 37), (33, 64), (20, 90), (17, 17), (120, 77), (19, 13))
PUBLISHED = [(1023, 767), (513, 2049), (301, 224), (2500, 2048)]
BUILDERS = {"split": tiny_idefics2, "whole": lambda: tiny_idefics2(split=False)}


def tiny(name):
    model, processor = BUILDERS[name]()
    return VLM(model=model, processor=processor, family_name="idefics2", name="tiny")


@pytest.fixture(scope="module", params=BUILDERS)
def vlm(request):
    return tiny(request.param)


@pytest.mark.parametrize("shape", SIZES)
def test_the_grids_are_the_patches_that_the_model_does_not_mask(vlm, shape):
    encoded = vlm.encode((noise(shape),), QUESTION)
    grids = encoded.prompt.grids
    mask = encoded.inputs["pixel_attention_mask"][0]
    whole = mask.unfold(1, 4, 4).unfold(2, 4, 4).sum(dim=(-1, -2)) == 16
    assert [(grid.rows, grid.cols) for grid in grids] == [
        (int(one.any(dim=1).sum()), int(one.any(dim=0).sum())) for one in whole
    ]
    assert sorted(encoded.cells["vision"].index) == torch.nonzero(whole.flatten()).flatten().tolist()
    sizes = [(int(one.any(dim=1).sum()), int(one.any(dim=0).sum())) for one in mask]
    assert [(grid.rows, grid.cols) for grid in encoded.cells["pixels"].grids] == sizes
    assert all(grid.valid.all() and (grid.positions == -1).all() for grid in grids)


@pytest.mark.parametrize("shape", SIZES)
def test_pixels_lie_where_the_grid_says(vlm, shape):
    assert ramp_error(vlm, shape, patch=4) < 0.3


def test_a_bright_block_lights_its_patch_in_every_quarter_and_in_the_whole(vlm):
    cells = vlm.encode((noise((61, 37)),), QUESTION).cells
    assert block_error(vlm, (61, 37), cells["vision"], step=5) < 0.3


def test_the_quarters_come_before_the_whole():
    grids = tiny("split").encode((noise((45, 31)), noise((30, 30))), QUESTION).prompt.grids
    assert [grid.label for grid in grids[:5]] == [*(f"tile {n} of 4" for n in (1, 2, 3, 4)), "overview"]
    assert [grid.image for grid in grids] == [0] * 5 + [1] * 5
    corners = [tuple(grid.to_source[:, 2]) for grid in grids[:5]]
    assert corners == [(0, 0), (0, 15), (22, 0), (22, 15), (0, 0)]


def test_the_answer_can_look_at_the_latents_of_every_image(vlm):
    encoded = vlm.encode((noise((45, 31)),), QUESTION)
    tokens = np.flatnonzero(encoded.prompt.token_ids == vlm.model.config.image_token_id)
    assert encoded.columns.tolist() == tokens.tolist()
    assert len(tokens) == 5 * len(encoded.prompt.grids)
    assert "language" not in encoded.cells


def test_the_perceiver_looks_at_patches_and_at_latents(vlm):
    encoded = vlm.encode((noise((45, 31)),), QUESTION)
    steps = vlm.parts().resampler
    modules = [module for module, _ in steps]
    assert in_order(vlm, encoded, modules) == modules
    assert all((flow.rows, flow.columns, flow.own) == ("latents", "image", True) for _, flow in steps)


def test_what_is_masked_tells_the_answer_nothing(vlm):
    """The rim, narrower than a patch, and the padding can be anything."""
    encoded = vlm.encode((noise((45, 31)),), QUESTION)
    seen = encoded.cells["pixels"]
    inside = []
    for grid, patches in zip(seen.grids, encoded.cells["vision"].grids, strict=True):
        rows, cols = np.mgrid[: grid.rows, : grid.cols]
        inside.append(((rows < patches.rows * 4) & (cols < patches.cols * 4)).ravel())
    changed = torch.full_like(encoded.inputs["pixel_values"], 0.7)
    kept = torch.from_numpy(seen.index[0][np.concatenate(inside)].ravel())
    changed.view(-1)[kept] = encoded.inputs["pixel_values"].view(-1)[kept]
    with torch.no_grad():
        before = vlm.model(**encoded.inputs).logits
        after = vlm.model(**{**encoded.inputs, "pixel_values": changed}).logits
    assert torch.allclose(before, after, atol=1e-4)


def test_another_number_of_latents_is_refused():
    vlm = tiny("split")
    vlm.processor.image_seq_len = 4
    with pytest.raises(UnsupportedModel, match="do not belong together"):
        vlm.encode((noise((45, 31)),), QUESTION)


def test_a_processor_that_splits_nothing_is_right_in_everything():
    check_model(*tiny_idefics2(split=False))


@pytest.mark.slow
@pytest.mark.parametrize("shape", PUBLISHED)
def test_images_of_published_sizes(shape):
    """`pytest -m slow tests/models/families/test_idefics2.py`; the weights play no part."""
    model, processor = tiny_idefics2()
    model.config.vision_config.image_size, model.config.vision_config.patch_size = 980, 14
    processor.image_processor.size = SizeDict(shortest_edge=378, longest_edge=980)
    check_published(resolve(model, processor), shape, "vision", step=1103, view=0.99)
