"""Qwen's images: squeezed, cut into blocks of patches, reordered by window, and back."""

import numpy as np
import pytest
import torch
from transformers.image_utils import SizeDict

import groundviz
from groundviz.errors import UnsupportedModel
from groundviz.models.adapter.vlm import VLM
from groundviz.models.load import resolve
from groundviz.models.prompting.defaults import CHATML
from groundviz.testing.families.qwen_vl import tiny_qwen2_5_vl, tiny_qwen2_vl, tiny_qwen3_vl
from tests.models.probes import (
    QUESTION,
    block_error,
    check_published,
    check_tokens_are_cells,
    noise,
    ramp_error,
    share_in_view,
    shown,
    sizes,
)

SIZES = sizes((45, 31), (61, 37), (33, 64), (20, 90), (17, 17), (120, 77))
PUBLISHED = [(1023, 767), (513, 2049), (301, 224), (2500, 2048)]
BUILDERS = {"qwen2": tiny_qwen2_vl, "qwen2.5": tiny_qwen2_5_vl, "qwen3": tiny_qwen3_vl}


@pytest.fixture(scope="module", params=BUILDERS)
def vlm(request):
    model, processor = BUILDERS[request.param]()
    return VLM(model=model, processor=processor, family_name="qwen_vl", name="tiny")


@pytest.mark.parametrize("shape", SIZES)
def test_every_image_token_is_a_cell_of_the_grid(vlm, shape):
    encoded = vlm.encode((noise(shape),), QUESTION)
    [grid] = encoded.prompt.grids
    check_tokens_are_cells(vlm, encoded)
    assert share_in_view(encoded, shape) == 1.0
    _, rows, cols = encoded.inputs["image_grid_thw"][0].tolist()
    assert (grid.rows, grid.cols) == (rows // 2, cols // 2)


@pytest.mark.parametrize("shape", SIZES)
def test_pixels_lie_where_the_grid_says(vlm, shape):
    assert ramp_error(vlm, shape, patch=4) < 0.1


def test_a_bright_block_lights_its_patch(vlm):
    cells = vlm.encode((noise((45, 31)),), QUESTION).cells
    assert block_error(vlm, (45, 31), cells["vision"], step=7) < 0.25
    assert block_error(vlm, (45, 31), cells["language"], step=5) < 0.25


def test_rows_of_the_image_are_not_rows_of_the_tensor(vlm):
    """Read row by row, most patches would be another's."""
    index = vlm.encode((noise((45, 31)),), QUESTION).cells["vision"].index
    assert sorted(index.tolist()) == list(range(len(index)))
    assert (index == np.arange(len(index))).mean() < 0.3


def test_both_frames_show_the_same_image(vlm):
    encoded = vlm.encode((noise((45, 31)),), QUESTION)
    [seen] = shown(encoded)
    assert len(seen) == 2
    assert np.array_equal(*seen)
    index = encoded.cells["pixels"].index
    assert sorted(index.ravel().tolist()) == list(range(encoded.inputs["pixel_values"].numel()))


def test_qwen2_5_reorders_by_window():
    model, processor = tiny_qwen2_5_vl()
    vlm = VLM(model=model, processor=processor, family_name="qwen_vl", name="tiny")
    index = vlm.encode((noise((45, 31)),), QUESTION).cells["projector"].index
    # Windows of two by two image tokens, four tokens to a row.
    assert index[:8].tolist() == [0, 1, 4, 5, 2, 3, 6, 7]


def test_several_images_have_a_grid_each(vlm):
    prompt = vlm.encode((noise((45, 31)), noise((37, 61))), QUESTION).prompt
    assert [grid.image for grid in prompt.grids] == [0, 1]
    first, second = prompt.grids
    assert first.positions.max() < second.positions.min()


def test_positions_of_image_tokens_need_their_kinds(vlm):
    """Were they taken for words, the model would number them one after another."""
    encoded = vlm.encode((noise((45, 31)),), "Is there a </s> nodule?")
    kinds = encoded.inputs["mm_token_type_ids"][0].numpy()
    assert np.flatnonzero(kinds).tolist() == encoded.columns.tolist()
    with torch.no_grad():
        whole = vlm.model(**encoded.inputs).logits
        words = {**encoded.inputs, "mm_token_type_ids": torch.zeros_like(encoded.inputs["input_ids"])}
        assert (vlm.model(**words).logits - whole).abs().max() > 1e-3


def test_the_positions_of_one_prompt_are_not_left_in_the_model(vlm):
    vlm.model.model.rope_deltas = None
    groundviz.explain(vlm, noise((45, 31)).pixels, QUESTION, methods=["attention", "relevancy"])
    assert vlm.model.model.rope_deltas is None


def test_a_processor_without_a_template_gets_the_published_one(vlm):
    encoded = vlm.encode((noise((45, 31)),), QUESTION)
    processor = type(vlm.processor).__new__(type(vlm.processor))
    processor.__dict__ = {**vlm.processor.__dict__, "chat_template": None}
    other = VLM(model=vlm.model, processor=processor, family_name="qwen_vl", name="tiny")
    assert other.encode((noise((45, 31)),), QUESTION).prompt.text == encoded.prompt.text
    assert CHATML.turn.count("{images}") == 1


@pytest.mark.parametrize("setting", ["merge_size", "patch_size"])
def test_a_processor_of_another_model_is_refused(setting):
    model, processor = tiny_qwen2_vl()
    other = VLM(model=model, processor=processor, family_name="qwen_vl", name="tiny")
    setattr(processor.image_processor, setting, 1)
    with pytest.raises(UnsupportedModel, match="do not belong together"):
        other.encode((noise((45, 31)),), QUESTION)


@pytest.mark.slow
@pytest.mark.parametrize("shape", PUBLISHED)
def test_images_of_published_sizes(shape):
    """`pytest -m slow tests/models/families/test_qwen_vl.py`; the weights play no part."""
    model, processor = tiny_qwen2_vl()
    model.config.text_config.max_position_embeddings = 4096
    model.config.vision_config.patch_size = processor.image_processor.patch_size = 14
    processor.image_processor.size = SizeDict(shortest_edge=56 * 56, longest_edge=28 * 28 * 1280)
    check_published(resolve(model, processor), shape, "language", step=331)
