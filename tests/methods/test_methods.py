"""Both methods against what they are defined to be, computed another way."""

import copy
import re

import numpy as np
import pytest
import torch

from groundviz.errors import UnsupportedMethod
from groundviz.explain import explain
from groundviz.methods import DEFAULT, METHODS
from groundviz.methods.toolkit.facts import NOT_STATED
from groundviz.methods.toolkit.method import laid_out, positive
from groundviz.record.targets import find
from groundviz.record.types import Grid, Prompt, Target

QUESTION = "Is there a nodule?"


@pytest.fixture
def explained(tiny, source_image):
    return tiny, explain(tiny, source_image, QUESTION)


def eager(vlm, explanation):
    record = explanation.record
    model = copy.deepcopy(vlm.model)
    model.set_attn_implementation("eager")
    inputs = vlm.encode((record.source_image,), QUESTION).inputs
    ids = torch.from_numpy(np.concatenate([record.prompt.token_ids, record.answer.token_ids]))[None]
    inputs = {**inputs, "input_ids": ids, "attention_mask": torch.ones_like(ids)}
    output = model(**inputs, output_attentions=True)
    return output.attentions, torch.log_softmax(output.logits[0], -1), ids[0]


def test_attention_of_a_token_is_the_mean_row_that_predicts_it(explained):
    vlm, explanation = explained
    record = explanation.record
    attentions, _, _ = eager(vlm, explanation)
    row = len(record.prompt.token_ids) + 2 - 1
    columns = record.prompt.grids[0].positions
    expected = torch.stack([a[0, :, row][:, columns] for a in attentions]).mean((0, 1)).detach().numpy()
    found = explanation.heatmap("attention", 2).values
    np.testing.assert_allclose(found.reshape(-1), expected, atol=1e-6)


def test_attention_of_an_answer_is_the_mean_over_its_spoken_tokens(explained):
    _, explanation = explained
    spoken = explanation.answer.spoken
    tokens = [explanation.heatmap("attention", t).values for t in spoken]
    np.testing.assert_allclose(explanation.heatmap("attention").values, np.mean(tokens, axis=0), atol=1e-7)


def test_gradient_attention_is_positive_attention_times_gradient(explained):
    vlm, explanation = explained
    record = explanation.record
    attentions, logprobs, ids = eager(vlm, explanation)
    row = len(record.prompt.token_ids) + 1 - 1
    columns = record.prompt.grids[0].positions
    gradients = torch.autograd.grad(logprobs[row, ids[row + 1]], attentions)
    products = [(a * g)[0, :, row][:, columns] for a, g in zip(attentions, gradients, strict=True)]
    expected = torch.stack(products).clamp(min=0).mean(1).sum(0).detach().numpy()
    found = explanation.heatmap("gradient_attention", 1).values.reshape(-1)
    assert expected.max() > 0
    np.testing.assert_allclose(found, expected, atol=1e-4 * expected.max())


def test_gradient_attention_of_an_answer_is_the_sum_over_its_spoken_tokens(explained):
    _, explanation = explained
    tokens = [explanation.heatmap("gradient_attention", t).values for t in explanation.answer.spoken]
    found = explanation.heatmap("gradient_attention").values
    np.testing.assert_allclose(found, np.sum(tokens, axis=0), rtol=1e-5)


@pytest.mark.parametrize("method", DEFAULT)
def test_layers_and_heads_are_kept_apart(explained, method):
    _, explanation = explained
    (maps,) = (m for m in explanation.record.heatmaps if m.method == method)
    assert maps.values.shape[1:3] == (2, 4)
    one = explanation.heatmap(method, layer=1, head=3)
    raw = maps.values[list(explanation.answer.spoken), 1, 3]
    expected = raw.mean(0) if maps.reduce[0] == "mean" else raw.sum(0)
    np.testing.assert_allclose(one.values, expected, rtol=1e-6)
    assert (one.layer, one.head) == (1, 3)


@pytest.mark.parametrize("method", DEFAULT)
def test_maps_are_raw_and_name_their_unit(explained, method):
    _, explanation = explained
    heatmap = explanation.heatmap(method)
    assert heatmap.unit
    assert heatmap.values.dtype == np.float32
    assert not np.isclose(heatmap.values.max(), 1.0)


@pytest.mark.parametrize("method", list(METHODS))
def test_a_fact_stands_once_at_the_registration(method):
    text, facts = METHODS[method].__doc__, METHODS.facts(method)
    assert NOT_STATED not in (facts.shows, facts.unit, facts.cost, facts.source, facts.known_failure)
    assert "Formula:" in text and "Targets:" in text
    assert not any(word in text for word in ("Unit:", "Cost:", "Source:", "Known failure:"))


WITHOUT_CONTRASTS = [name for name in METHODS if not METHODS.facts(name).contrasts]


@pytest.mark.parametrize("method", WITHOUT_CONTRASTS)
def test_a_method_without_contrasts_refuses_them_by_its_name(tiny, source_image, method):
    asked = {"answer": "left lung nodule", "target": "nodule", "against": "effusion"}
    with pytest.raises(UnsupportedMethod, match=rf"^{method} ") as refusal:
        explain(tiny, source_image, QUESTION, methods=method, **asked)
    named = set(re.findall(r"\w+", str(refusal.value).partition("contrast: ")[2])) - {"or"}
    assert named == set(METHODS) - set(WITHOUT_CONTRASTS)


def test_one_method_alone_gives_the_same_map(explained):
    vlm, explanation = explained
    alone = explain(vlm, explanation.source_image, QUESTION, methods="gradient_attention")
    assert alone.methods == ("gradient_attention",)
    assert np.array_equal(
        alone.heatmap("gradient_attention").values, explanation.heatmap("gradient_attention").values
    )


def test_the_defaults_are_registered():
    assert set(DEFAULT) <= set(METHODS)


def test_a_target_can_be_named_before_or_afterwards(explained):
    vlm, explanation = explained
    word = explanation.answer.tokens[3]
    before = explain(vlm, explanation.source_image, QUESTION, target=(3, 4))
    assert before.record.target == find(explanation.answer, (3, 4))
    assert before.record.target.text == word
    assert np.array_equal(before.heatmap("attention").values, explanation.heatmap("attention", 3).values)


def test_values_are_laid_out_on_each_grid_and_missing_cells_are_nan():
    def grid(positions):
        return Grid(
            rows=1,
            cols=len(positions),
            positions=np.array(positions),
            to_source=np.eye(2, 3),
            valid=np.array([positions]) >= 0,
            stage="language",
        )

    prompt = Prompt(
        text="",
        question="",
        token_ids=np.arange(9),
        tokens=("",) * 9,
        spans=(),
        grids=(grid([3, -1, 4]), grid([7, 8])),
    )
    values = np.array([[1.0, 2.0, 3.0, 4.0]], np.float32)
    first, second = laid_out(values, prompt.grids, [Target(tokens=(0,), text="x")], unit="nats")
    np.testing.assert_array_equal(first.values[0, 0, 0], [[1.0, np.nan, 2.0]])
    np.testing.assert_array_equal(second.values[0, 0, 0], [[3.0, 4.0]])


@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_numbers_must_be_above_zero(value):
    with pytest.raises(UnsupportedMethod, match=f"work cannot run with size={value}"):
        positive("work", {"size": value})


@pytest.mark.parametrize("name", ["input_gradient", "hires_cam", "grad_cam"])
def test_a_method_that_was_seen_to_fail_says_so_beside_its_map(tiny, source_image, name):
    heatmap = explain(
        tiny, source_image, QUESTION, methods={name: {"at": "projector"}}, answer="nodule"
    ).heatmap()
    assert "real Gemma 3" in heatmap.params["caution"]


def test_a_map_without_evidence_is_told_once_and_stays_in_the_record(tiny, source_image, monkeypatch):
    def empty(live, prompt, answer, targets):
        return laid_out(np.zeros((2, 16)), prompt.grids, targets, unit="nats")

    monkeypatch.setitem(METHODS._entries, "grad_cam", empty)
    with pytest.warns(RuntimeWarning, match="grad_cam found no evidence") as told:
        explanation = explain(
            tiny,
            source_image,
            QUESTION,
            methods=["grad_cam", "attention"],
            answer="left nodule",
            target=[0, 1],
        )
    assert len(told) == 1
    assert told[0].filename == __file__
    assert not explanation.heatmap("grad_cam").has_evidence
