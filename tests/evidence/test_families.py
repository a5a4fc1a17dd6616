"""Every family says whether its answer needs the image, and maps of each are put to the test."""

import numpy as np
import pytest

import groundviz
from groundviz import models
from groundviz.testing.families import TINY
from groundviz.testing.fingerprint import difference, fingerprint
from tests.support.kinds import EVERY_KIND

pytestmark = pytest.mark.wide


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 255, (96, 140), dtype=np.uint8)


@pytest.mark.parametrize("name", EVERY_KIND)
def test_it_is_measured_and_the_model_is_left_as_it_was(name, image):
    model, processor = TINY[name]()
    model.generation_config.max_new_tokens = 6
    vlm = models.resolve(model, processor)
    before = fingerprint(model)
    explained = groundviz.explain(vlm, image, "Is there a nodule?", certify=False)
    challenged = groundviz.challenge(explained, vlm, checks=["marked_place", "stability"])
    assert not difference(before, fingerprint(model))
    assert explained.evidence.needs_image in (True, False)
    # Where a class token goes past the cells, they are not pooled.
    assert len(explained.evidence.drops) == (3 if vlm.parts().gates else 2)
    assert np.isfinite(list(explained.evidence.drops.values())).all()
    places = [check for check in challenged.record.checks if check.name == "marked_place"]
    assert places
    for check in places:
        few = "other places, of which 19 are needed" in check.says
        assert check.verdict == "not measured" if few else check.verdict in ("shown", "depends", "not shown")
