"""Whether an answer needs the image: held against plain passes, and against models that cannot see."""

import copy
import math

import numpy as np
import pytest
import torch

import groundviz
from groundviz import models
from groundviz.errors import UnknownName
from groundviz.evidence import needs_image
from groundviz.methods.toolkit.baselines import blurred, local_mean
from groundviz.record.evidence import ABSENCE, SAYS_NOTHING
from groundviz.runtime import borrow
from groundviz.testing.families.qwen_vl import tiny_qwen3_vl
from groundviz.testing.fingerprint import difference, fingerprint

QUESTION = "Where is the nodule?"


@pytest.fixture(scope="module")
def explained(demo, chest):
    return groundviz.explain(demo, chest.pixels, QUESTION, methods="attention")


@pytest.fixture(scope="module")
def blind(demo):
    """The demo with a projector that says the same of every image."""
    twin = copy.deepcopy(demo.model)
    projector = twin.model.multi_modal_projector
    with torch.no_grad():
        projector.linear_2.weight.zero_()
    return models.resolve(twin, demo.processor)


def log_probability(answer):
    return float(answer.logprobs[list(answer.spoken)].sum(dtype=np.float64))


@pytest.mark.parametrize(("twin", "paint"), [("blurred", blurred), ("local mean", local_mean)])
def test_a_drop_is_that_of_an_explanation_of_the_twin(explained, demo, chest, twin, paint):
    given = explained.answer.token_ids.tolist()
    with borrow(demo) as live:
        prompt = live.encode(groundviz.images.load(paint(chest.pixels)), QUESTION)
        answer = live.answer(prompt, given=given)
    expected = log_probability(explained.answer) - log_probability(answer)
    assert explained.evidence.drops[twin] == pytest.approx(expected, abs=1e-3)


def test_the_drop_of_pooled_tokens_is_that_of_a_plain_pass_with_them(explained, demo, chest):
    def pool(module, args, output):
        return output.mean(dim=1, keepdim=True).expand_as(output)

    twin = copy.deepcopy(demo.model)
    twin.model.multi_modal_projector.register_forward_hook(pool)
    with borrow(models.resolve(twin, demo.processor)) as live:
        prompt = live.encode(groundviz.images.load(chest.pixels), QUESTION)
        answer = live.answer(prompt, given=explained.answer.token_ids.tolist())
    expected = log_probability(explained.answer) - log_probability(answer)
    assert explained.evidence.drops[needs_image.POOLED] == pytest.approx(expected, abs=1e-3)


def test_the_smallest_drop_decides_at_ln_2(explained):
    (check,) = [one for one in explained.evidence.checks if one.name == "needs_image"]
    assert check.value == min(explained.evidence.drops.values()) == min(check.numbers.values())
    assert check.reference == math.log(2)
    assert len(check.numbers) == 3
    assert explained.evidence.needs_image is (check.value >= math.log(2)) is True


def test_it_is_one_batch_of_three(demo, chest, explained):
    batches = []
    handle = demo.model.register_forward_pre_hook(
        lambda module, args, kwargs: batches.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    try:
        groundviz.explain(demo, chest.pixels, QUESTION, methods="attention", evidence=None)
        without = list(batches)
        batches.clear()
        groundviz.explain(demo, chest.pixels, QUESTION, methods="attention")
    finally:
        handle.remove()
    assert sorted(batches) == sorted([*without, 3])


def test_a_model_that_cannot_see_does_not_need_the_image(blind, chest):
    found = groundviz.explain(blind, chest.pixels, QUESTION, certify=False, methods="attention")
    assert found.evidence.needs_image is False
    assert max(map(abs, found.evidence.drops.values())) < 1e-3
    assert "does not need this image" in found.evidence.verdict()
    assert "The map is no evidence for it." in found.evidence.verdict()


def test_an_absence_does_not_need_the_image_and_the_sentence_says_so(demo, chest):
    found = groundviz.explain(demo, chest.pixels, "Is there an effusion?")
    assert found.answer.text == "no"
    assert found.evidence.needs_image is False
    told = list(found.evidence.sentences())
    assert ABSENCE in told
    assert told[-1] == SAYS_NOTHING


def test_the_model_is_left_as_it_was(demo, chest):
    before = fingerprint(demo.model)
    groundviz.explain(demo, chest.pixels, QUESTION)
    assert not difference(before, fingerprint(demo.model))


def test_nothing_is_measured_where_nothing_was_asked_for(demo, chest):
    found = groundviz.explain(demo, chest.pixels, QUESTION, evidence=None)
    assert found.record.checks == ()
    assert found.evidence.needs_image is None
    assert found.evidence.drops == {}
    assert found.evidence.verdict() == "Not measured: the marked place."


def test_another_extent_is_refused_before_the_model_is_touched(chest):
    with pytest.raises(UnknownName, match="no evidence called 'much'"):
        groundviz.explain("nothing/there", chest.pixels, QUESTION, evidence="much")


def test_what_reaches_the_language_model_past_the_projector_is_pooled_too():
    model, processor = tiny_qwen3_vl()
    with borrow(models.resolve(model, processor)) as live:
        live.encode(groundviz.images.load(np.zeros((64, 64), np.uint8)), "Is there a nodule?")
        sites = needs_image._pooling_sites(live)
    assert {site.stage for site in sites} == {"vision", "projector"}


def test_a_check_that_cannot_be_made_says_why_and_loses_no_map(demo, chest, monkeypatch):
    from groundviz.errors import OutOfMemory

    def full(*args, **kwargs):
        raise OutOfMemory("No room for the twins.")

    monkeypatch.setattr(needs_image, "_scores", full)
    found = groundviz.explain(demo, chest.pixels, QUESTION, methods="attention")
    (check,) = [one for one in found.evidence.checks if one.name == "needs_image"]
    assert (check.verdict, check.value, check.says) == ("not measured", None, "No room for the twins.")
    assert found.evidence.needs_image is None
    assert found.methods == ("attention",)
