"""NaN and infinity anywhere in a model end in an error that says where they began, never in an image."""

import warnings

import numpy as np
import pytest
import torch

import groundviz
from groundviz.errors import NumericalError
from groundviz.explain import explain
from groundviz.methods import METHODS
from groundviz.testing.fingerprint import difference, fingerprint
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor
from tests.support.quick import quick

pytestmark = pytest.mark.wide

QUESTION = "Is there a nodule?"
LAYERS = (
    "model.vision_tower.embeddings.patch_embedding",
    "model.vision_tower.encoder.layers.0.mlp.fc2",
    "model.multi_modal_projector.linear_2",
    "model.language_model.layers.0.self_attn.o_proj",
    "model.language_model.layers.1.mlp.down_proj",
    "model.language_model.norm",
    "lm_head",
)


@pytest.fixture
def ask(image):
    def ask(model, **options):
        return explain(model, image, QUESTION, processor=tiny_llava_processor(tiny_llava()), **options)

    return ask


@pytest.fixture
def model():
    model = tiny_llava()
    model.generation_config.max_new_tokens = 3
    return model


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", LAYERS)
def test_the_first_layer_with_a_poisoned_weight_is_named(model, ask, name, poison):
    weight = model.get_submodule(name).weight
    with torch.no_grad():
        weight.view(-1)[:] = poison
    before = fingerprint(model)
    with pytest.raises(NumericalError, match=f"not finite is '{name}': its weights hold NaN or infinity"):
        ask(model)
    assert difference(before, fingerprint(model)) == []


def test_an_overflow_in_finite_weights_is_told_from_a_poisoned_weight(model, ask):
    with torch.no_grad():
        model.model.multi_modal_projector.linear_1.weight *= 1e38
    with pytest.raises(NumericalError, match=r"multi_modal_projector.*its weights are finite"):
        ask(model, answer="left lung")


def test_sampling_from_scores_that_are_not_finite_is_the_same_error(model, ask):
    model.generation_config.do_sample = True
    with torch.no_grad():
        model.lm_head.weight[:] = float("nan")
    with pytest.raises(NumericalError, match="not finite is 'lm_head'"):
        ask(model)


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), -float("inf")])
def test_a_poisoned_map_is_not_handed_out(model, ask, monkeypatch, poison):
    honest = METHODS["attention"]

    def poisoned(*args):
        (maps,) = honest(*args)
        maps.values[0, 0, 0, 0, 0] = poison
        return [maps]

    monkeypatch.setitem(METHODS._entries, "attention", poisoned)
    with pytest.raises(NumericalError, match=r"attention produced NaN.*Every part .* puts out finite"):
        ask(model, methods="attention")


@pytest.mark.parametrize("method", list(groundviz.METHODS))
def test_a_image_the_answer_ignores_is_no_evidence_or_an_error(model, ask, method):
    # Every image token is the same: what could be told apart by position alone may still differ.
    with torch.no_grad():
        model.model.multi_modal_projector.linear_2.weight.zero_()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            values = ask(model, methods=quick(method)).heatmap(method).values
    except groundviz.errors.GroundvizError:
        return
    assert np.isfinite(values).all()
