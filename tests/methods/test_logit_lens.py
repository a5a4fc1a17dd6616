"""The logit lens against hidden states of plain transformers, normed and unembedded by hand."""

import numpy as np
import pytest
import torch

from groundviz.explain import explain
from groundviz.methods import logit_lens
from groundviz.runtime import borrow
from groundviz.runtime.passes import unembedding
from tests.methods.eager import eager, values

METHOD, QUESTION, ANSWER = "logit_lens", "Is there a nodule?", "left lung nodule"


def read_by_hand(vlm, record):
    """Log-probabilities of the whole vocabulary at each image cell: (layer, cell, vocabulary)."""
    model, found = vlm.model, []
    decoder = model.get_decoder()
    seen = []
    handles = [
        layer.register_forward_hook(lambda module, args, output: seen.append(output))
        for layer in decoder.layers
    ]
    inputs = vlm.encode((record.source_image,), QUESTION).inputs
    ids = torch.cat([inputs["input_ids"], torch.from_numpy(record.answer.token_ids)[None]], dim=1)
    with torch.no_grad():
        model(input_ids=ids, attention_mask=torch.ones_like(ids), pixel_values=inputs["pixel_values"])
    for handle in handles:
        handle.remove()
    for whole in seen:
        cells = (whole[0] if isinstance(whole, tuple) else whole)[0, record.prompt.grids[0].positions]
        scale = torch.rsqrt(cells.pow(2).mean(-1, keepdim=True) + decoder.norm.variance_epsilon)
        logits = (cells * scale * decoder.norm.weight) @ model.lm_head.weight.T
        found.append(torch.log_softmax(logits, -1).detach())
    return torch.stack(found).numpy()


@pytest.fixture
def explained(tiny, source_image):
    return tiny, explain(tiny, source_image, QUESTION, answer=ANSWER, methods=METHOD)


def test_each_cell_and_layer_is_read_by_the_models_own_head(explained):
    vlm, explanation = explained
    expected = read_by_hand(vlm, explanation.record)[..., explanation.answer.token_ids]
    maps, found = values(explanation, "logit_lens")
    np.testing.assert_allclose(found[:, :, 0], expected.transpose(2, 0, 1), atol=1e-5)
    assert (maps.unit, maps.signed, maps.layers) == ("nats", False, (0, 1))
    assert found.max() < 0
    two = explanation.heatmap(target=(1, 3), layer=1).values.reshape(-1)
    np.testing.assert_allclose(two, expected[1, :, 1:].mean(-1), atol=1e-5)


def test_the_last_layer_says_what_the_model_says(explained):
    vlm, explanation = explained
    record = explanation.record
    logits = eager(vlm, record.source_image, QUESTION, record.answer.token_ids).logits[0]
    expected = torch.log_softmax(logits, -1)[record.prompt.grids[0].positions][:, record.answer.token_ids]
    found = values(explanation, "logit_lens")[1][:, 1, 0]
    np.testing.assert_allclose(found, expected.T.detach(), atol=1e-5)


@pytest.mark.parametrize("against", ["effusion", "large effusion"])
def test_a_contrast_is_the_difference_of_the_means_over_tokens(tiny, source_image, against):
    explanation = explain(
        tiny, source_image, QUESTION, answer=ANSWER, methods=METHOD, target="nodule", against=against
    )
    read = read_by_hand(tiny, explanation.record)
    foil = tiny.answer_ids(against)
    expected = read[..., explanation.answer.token_ids[2]] - read[..., foil].mean(-1)
    maps, found = values(explanation, "logit_lens")
    np.testing.assert_allclose(found[0, :, 0], expected, atol=1e-5)
    assert maps.signed
    assert found.min() < 0 < found.max()
    np.testing.assert_allclose(explanation.heatmap().values.reshape(-1), expected.mean(0), atol=1e-5)


def test_several_contrasts_are_measured_at_once(tiny, source_image):
    together, *alone = (
        explain(
            tiny,
            source_image,
            QUESTION,
            answer=ANSWER,
            methods=METHOD,
            target=target,
            against="effusion",
        )
        for target in (["nodule", "lung"], "nodule", "lung")
    )
    for number, one in enumerate(alone):
        expected = values(one, "logit_lens")[1][0]
        np.testing.assert_array_equal(values(together, "logit_lens")[1][number], expected)


def test_few_cells_and_words_at_a_time_give_the_same(explained, monkeypatch):
    vlm, explanation = explained
    monkeypatch.setattr(unembedding, "STATES_AT_ONCE", 5)
    monkeypatch.setattr(unembedding, "WORDS_AT_ONCE", 7)
    again = explain(vlm, explanation.source_image, QUESTION, answer=ANSWER, methods=METHOD)
    np.testing.assert_allclose(again.heatmap().values, explanation.heatmap().values, atol=1e-6)


def test_without_normalisation_words_are_measured_against_the_mean_word(explained):
    vlm, explanation = explained
    methods = {METHOD: {"normalised": False}}
    cheap = explain(vlm, explanation.source_image, QUESTION, answer=ANSWER, methods=methods)
    logprobs = read_by_hand(vlm, cheap.record)
    # Less its mean, a log-probability is the logit less its mean: what normalises is in both.
    expected = (logprobs - logprobs.mean(-1, keepdims=True))[..., cheap.answer.token_ids]
    maps, found = values(cheap, "logit_lens")
    np.testing.assert_allclose(found[:, :, 0], expected.transpose(2, 0, 1), atol=1e-5)
    assert (maps.unit, maps.signed) == ("logits", True)


def test_a_contrast_is_the_same_with_and_without_normalisation(tiny, source_image):
    both = [
        explain(
            tiny,
            source_image,
            QUESTION,
            answer=ANSWER,
            methods={METHOD: {"normalised": normalised}},
            target="nodule",
            against="large effusion",
        )
        for normalised in (True, False)
    ]
    (maps, found), (others, again) = (values(one, "logit_lens") for one in both)
    np.testing.assert_array_equal(found, again)
    assert maps.unit == others.unit == "nats"


def test_all_layers_are_read_in_one_pass(tiny, source_image):
    with borrow(tiny) as live:
        prompt = live.encode(source_image, QUESTION)
        answer = live.answer(prompt, given=ANSWER)
        passes = []
        handle = live._loan.hook(tiny.model, lambda *_: passes.append(1))
        logit_lens.logit_lens(live, prompt, answer, live.targets(answer, None, None))
        handle.remove()
    assert len(passes) == 1
