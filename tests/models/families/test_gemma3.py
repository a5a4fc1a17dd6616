"""Gemma's images: squeezed to squares, pooled four by four, cropped where the processor is told to."""

import pytest

from groundviz.errors import UnsupportedModel
from groundviz.models.adapter.vlm import VLM
from groundviz.testing.families.gemma3 import tiny_gemma3, tiny_gemma3_cropped
from tests.models.probes import QUESTION, block_error, check_tokens_are_cells, noise, ramp_error, sizes

SIZES = sizes((45, 31), (61, 37), (33, 64), (20, 90), (17, 17), (120, 77))


def vlm_of(model, processor):
    return VLM(model=model, processor=processor, family_name="gemma3", name="tiny")


@pytest.fixture(scope="module")
def whole():
    return vlm_of(*tiny_gemma3())


@pytest.fixture(scope="module")
def cropped():
    return vlm_of(*tiny_gemma3_cropped())


@pytest.mark.parametrize("shape", SIZES)
def test_every_image_token_is_a_cell_of_the_grids(whole, cropped, shape):
    for vlm in (whole, cropped):
        encoded = vlm.encode((noise(shape),), QUESTION)
        grids = encoded.prompt.grids
        check_tokens_are_cells(vlm, encoded)
        assert {(grid.rows, grid.cols) for grid in grids} == {(4, 4)}
        assert len(grids) == len(encoded.inputs["pixel_values"])


def test_a_long_image_is_cropped_where_the_processor_is_told_to(whole, cropped):
    labels = {
        (61, 37): ["overview", "tile 1 of 2", "tile 2 of 2"],
        (90, 20): ["overview", *(f"tile {number} of 4" for number in range(1, 5))],
        (20, 90): ["overview", *(f"tile {number} of 4" for number in range(1, 5))],
        (40, 40): [""],
    }
    for shape, expected in labels.items():
        assert [grid.label for grid in cropped.encode((noise(shape),), QUESTION).prompt.grids] == expected
        assert [grid.label for grid in whole.encode((noise(shape),), QUESTION).prompt.grids] == [""]


@pytest.mark.parametrize("shape", SIZES)
def test_pixels_lie_where_the_grids_say(whole, cropped, shape):
    assert ramp_error(whole, shape, patch=2) < 0.5
    assert ramp_error(cropped, shape, patch=2) < 0.5


def test_a_bright_block_lights_its_cell(whole, cropped):
    for vlm in (whole, cropped):
        cells = vlm.encode((noise((61, 37)),), QUESTION).cells
        assert block_error(vlm, (61, 37), cells["language"], step=3) < 0.1


def test_another_models_processor_is_refused(whole):
    processor = tiny_gemma3()[1]
    processor.image_processor.size = {"height": 48, "width": 48}
    with pytest.raises(UnsupportedModel, match="belong together"):
        vlm_of(whole.model, processor).encode((noise((45, 31)),), QUESTION)
