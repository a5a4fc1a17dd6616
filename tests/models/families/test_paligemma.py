"""PaliGemma's images: squeezed to a square, one token per patch; prompts without a template."""

import pytest

from groundviz.errors import UnsupportedModel
from groundviz.models.adapter.vlm import VLM
from groundviz.testing.families.paligemma import tiny_paligemma, tiny_paligemma2
from tests.models.probes import QUESTION, block_error, check_tokens_are_cells, noise, ramp_error, sizes

SIZES = sizes((45, 31), (61, 37), (33, 64), (20, 90), (17, 17), (120, 77))


@pytest.fixture(scope="module", params=[tiny_paligemma, tiny_paligemma2])
def vlm(request):
    model, processor = request.param()
    return VLM(model=model, processor=processor, family_name="paligemma", name="tiny")


@pytest.mark.parametrize("shape", SIZES)
def test_every_image_token_is_a_cell_of_the_grid(vlm, shape):
    encoded = vlm.encode((noise(shape),), QUESTION)
    [grid] = encoded.prompt.grids
    check_tokens_are_cells(vlm, encoded)
    assert grid.positions.tolist() == list(range(36))
    assert (grid.rows, grid.cols) == (6, 6)


def test_the_prompt_is_as_the_processor_writes_it(vlm):
    """Images, the start token, the question; and nothing to train on."""
    encoded = vlm.encode((noise((45, 31)),), QUESTION)
    assert encoded.prompt.tokens[36:] == ("<s>", "Is", "there", "a", "nodule", "?")
    assert [span.kind for span in encoded.prompt.spans] == ["image", "template", "question"]
    assert set(encoded.inputs) == {"input_ids", "attention_mask", "token_type_ids", "pixel_values"}
    assert not encoded.inputs["token_type_ids"].any()


@pytest.mark.parametrize("shape", SIZES)
def test_pixels_lie_where_the_grid_says(vlm, shape):
    assert ramp_error(vlm, shape, patch=4) < 0.1


def test_a_bright_block_lights_its_cell(vlm):
    cells = vlm.encode((noise((61, 37)),), QUESTION).cells
    assert block_error(vlm, (61, 37), cells["language"], step=3) < 0.1


def test_another_models_processor_is_refused(vlm):
    processor = tiny_paligemma()[1]
    processor.image_processor.size = {"height": 48, "width": 48}
    with pytest.raises(UnsupportedModel, match="belong together"):
        VLM(vlm.model, processor, "paligemma", "tiny").encode((noise((45, 31)),), QUESTION)
