"""Every method's maps can be measured again from what they state, also after a file."""

import numpy as np
import pytest

import groundviz
from groundviz import models
from groundviz.evidence.toolkit.remeasuring import again, reading
from groundviz.methods import METHODS
from groundviz.runtime import borrow
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor
from tests.support.quick import quick

# Shapley values and masks are drawn anew where less is asked for; the seed is the loan's.
QUESTION = "Is there a nodule?"


@pytest.fixture(scope="module")
def vlm():
    model = tiny_llava()
    return models.resolve(model, tiny_llava_processor(model))


@pytest.mark.parametrize("method", list(METHODS))
def test_the_options_that_a_map_states_make_it_again(vlm, method, tmp_path):
    image = np.random.default_rng(3).integers(0, 256, (28, 28, 3), dtype=np.uint8)
    made = groundviz.explain(
        vlm, image, QUESTION, methods=quick(method), answer="left lung", certify=False, evidence=None
    )
    record = groundviz.open(made.save(tmp_path / "map.gvz")).record
    (maps, *_) = record.heatmaps
    target = record.target
    with borrow(vlm) as live:
        live.encode(record.source_images, QUESTION)
        found = again(reading(live, record.answer), target, maps.at(target))
    np.testing.assert_allclose(found[0].values, maps.at(target).values, atol=1e-6, equal_nan=True)
