"""The certificate of measured models: whatever could not be measured is told by name."""

import numpy as np
import pytest

from groundviz import certify, models
from groundviz.models.adapter.probe_images import QUESTION, noise
from groundviz.models.certification.certificate import MOST_UNCOVERED, coverage
from groundviz.models.certification.gradient_trace import follow_model
from groundviz.models.certification.run import uncovered
from groundviz.runtime.loan import guard
from tests.support.newest import newest
from tests.zoo import ZOO

SHAPE = (61, 45)
pytestmark = [newest, pytest.mark.filterwarnings("ignore")]


def built(kind):
    return models.resolve(*ZOO[kind]())


def by_name(certificate):
    return {check.name: check for check in certificate.checks}


def test_a_tower_without_single_cells_is_certified_by_pixels_and_blocks():
    vlm = built("fast_vlm")
    assert "vision" not in vlm.encode((noise(SHAPE),), QUESTION).cells
    certificate = certify(vlm)
    checks = by_name(certificate)
    assert certificate.passed, str(certificate)
    assert list(certificate.steps) == ["pixels"]
    assert "not followed: patches, projector, prompt" in checks["geometry"].says
    assert checks["blocks"].value >= 0.9


@pytest.mark.parametrize("kind", ["aria", pytest.param("deepseek_ocr2", marks=pytest.mark.wide)])
def test_a_model_without_places_of_its_tokens_says_what_was_not_measured(kind):
    vlm = built(kind)
    assert vlm.parts().opaque
    certificate = certify(vlm)
    checks = by_name(certificate)
    open_ones = [name for name, check in checks.items() if check.verdict == "not measured"]
    assert certificate.passed, str(certificate)
    assert open_ones == ["coverage", "blocks", "tokens", "rows"]
    assert {checks[name].verdict for name in ("geometry", "length", "first steps")} == {"passed"}
    assert checks["rows"].says == checks["blocks"].says == vlm.parts().opaque
    assert certificate.unseen == ()
    assert "Never seen" not in str(certificate)


def test_an_image_that_is_read_at_two_sizes_is_in_cells_at_one():
    vlm = built("deepseek_vl_hybrid")
    encoded = vlm.encode((noise(SHAPE),), QUESTION)
    assert len(encoded.image_inputs) == 2
    certificate = certify(vlm)
    assert by_name(certificate)["completeness"].verdict == "passed"
    assert certificate.steps["pixels"] < 0.1


def test_several_streams_of_states_are_followed():
    vlm = built("glm5_next")
    encoded = vlm.encode((noise(SHAPE),), QUESTION)
    with guard.borrow(vlm.model) as loan:
        traces = follow_model(vlm, loan, encoded)
    assert list(traces) == ["vision", "projector", "language"]
    assert traces["language"].error < 0.01


def test_pixels_that_no_cell_covers_are_counted():
    vlm = built("vipllava")
    encoded = vlm.encode((noise(SHAPE),), QUESTION)
    assert uncovered(encoded, SHAPE) == 0.0
    [grid] = encoded.prompt.grids
    # Half of the rows of tokens are forgotten. The processor crops a square of 45 by 45 pixels.
    grid.positions[: len(grid.positions) // 2] = -1
    assert uncovered(encoded, SHAPE) == pytest.approx(45 / 2 / 61, abs=0.02)
    assert coverage([0.0, 0.5]).verdict == "50% of an image is shown to the model and in no cell"
    assert coverage([MOST_UNCOVERED]).verdict == "passed"
    assert coverage([None]).verdict == "not measured"


def test_the_shape_of_the_images_need_not_be_one_that_was_measured():
    certificate = certify(built("qwen3_5"), shapes=[(91, 53)])
    assert certificate.passed
    assert np.isclose(certificate.unseen[0], 0.0, atol=0.05)
