"""Gemma's pictures: squeezed to squares, pooled four by four, cropped where the processor is told to."""

import numpy as np
import pytest

from groundviz.errors import UnsupportedModel
from groundviz.models.gemma3 import Gemma3
from groundviz.models.vlm import VLM
from groundviz.testing.adapters import check_adapter
from groundviz.testing.families.gemma3 import tiny_gemma3, tiny_gemma3_cropped
from tests.models.probes import QUESTION, block_error, check_path, noise, ramp_error

SIZES = [(45, 31), (61, 37), (33, 64), (20, 90), (17, 17), (120, 77)]


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
        tokens = np.flatnonzero(encoded.prompt.token_ids == vlm.model.config.image_token_id)
        assert np.concatenate([grid.positions for grid in grids]).tolist() == tokens.tolist()
        assert all((grid.rows, grid.cols) == (4, 4) and grid.valid.all() for grid in grids)
        assert len(grids) == len(encoded.inputs["pixel_values"])


def test_a_long_picture_is_cropped_where_the_processor_is_told_to(whole, cropped):
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


@pytest.mark.parametrize("shape", [(61, 37), (31, 45)])
def test_every_cell_goes_where_the_adapter_says(whole, cropped, shape):
    for vlm in (whole, cropped):
        check_path(vlm, vlm.encode((noise(shape),), QUESTION))


def test_several_images_one_behind_the_other(cropped):
    studies = (noise((61, 37)), noise((40, 40), seed=1), noise((31, 45), seed=2))
    encoded = cropped.encode(studies, QUESTION)
    assert [grid.image for grid in encoded.prompt.grids] == [0, 0, 0, 1, 2, 2, 2]
    check_path(cropped, encoded)


def test_the_adapter_keeps_its_promises(whole, cropped):
    check_adapter(whole, noise((45, 31)))
    check_adapter(cropped, noise((45, 31)))


def test_another_models_processor_is_refused(whole):
    processor = tiny_gemma3()[1]
    processor.image_processor.size = {"height": 48, "width": 48}
    with pytest.raises(UnsupportedModel, match="belong together"):
        vlm_of(whole.model, processor).encode((noise((45, 31)),), QUESTION)


def test_it_knows_its_own(whole):
    assert Gemma3().matches(whole.model.config)
    assert not Gemma3().matches(whole.model.config.text_config)
