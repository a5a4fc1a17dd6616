"""The borrowed model against plain transformers: answers, attention rows, gradients."""

import copy

import numpy as np
import pytest
import torch

from groundviz import models
from groundviz.errors import NumericalError, PromptError, UnsupportedMethod
from groundviz.runtime import borrow
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor

QUESTION = "Is there a nodule?"


def measure(vlm, source_image, given=None):
    with borrow(vlm) as live:
        prompt = live.encode(source_image, QUESTION)
        answer = live.answer(prompt, given=given)
        return prompt, answer, live.attention(), *live.attention_gradients()


def eager_pass(vlm, source_image, prompt, answer):
    """Eager attention maps and log-probabilities over prompt and answer, with gradients."""
    model = copy.deepcopy(vlm.model)
    model.set_attn_implementation("eager")
    inputs = vlm.encode((source_image,), QUESTION).inputs
    ids = torch.from_numpy(np.concatenate([prompt.token_ids, answer.token_ids]))[None]
    output = model(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        pixel_values=inputs["pixel_values"],
        output_attentions=True,
    )
    return ids[0], output.attentions, torch.log_softmax(output.logits[0], -1)


@pytest.mark.parametrize("given", [None, "left lung nodule"])
def test_rows_equal_eager_attention_in_every_layer_and_head(tiny, source_image, given):
    prompt, answer, shares, again, _ = measure(tiny, source_image, given)
    _, attentions, _ = eager_pass(tiny, source_image, prompt, answer)
    first = len(prompt.token_ids) - 1
    columns = prompt.grids[0].positions
    for layer, eager in enumerate(attentions):
        rows = eager[0, :, first : first + len(answer.tokens)][..., columns].permute(1, 0, 2)
        assert np.abs(shares[:, layer] - rows.detach().numpy()).max() < 1e-5
    assert np.abs(again - shares).max() < 1e-5


def test_cached_decoding_gives_the_rows_of_eager_cached_decoding(tiny, source_image):
    _, answer, shares, *_ = measure(tiny, source_image)
    model = copy.deepcopy(tiny.model)
    model.set_attn_implementation("eager")
    encoded = tiny.encode((source_image,), QUESTION)
    prompt, inputs = encoded.prompt, encoded.inputs
    steps = model.generate(**inputs, output_attentions=True, return_dict_in_generate=True).attentions
    assert len(steps) == len(answer.tokens)
    for token, step in enumerate(steps):
        for layer, eager in enumerate(step):
            rows = eager[0, :, -1, prompt.grids[0].positions]
            assert np.abs(shares[token, layer] - rows.numpy()).max() < 1e-5


def test_the_answer_is_what_plain_generate_gives(tiny, source_image):
    prompt, answer, *_ = measure(tiny, source_image)
    inputs = tiny.encode((source_image,), QUESTION).inputs
    plain = tiny.model.generate(**inputs)[0, len(prompt.token_ids) :]
    assert answer.token_ids.tolist() == plain.tolist()
    assert answer.source == "generated"


def test_log_probabilities_are_those_of_the_raw_scores(tiny, source_image):
    tiny.model.generation_config.do_sample = True
    tiny.model.generation_config.temperature = 0.3
    prompt, answer, *_ = measure(tiny, source_image)
    ids, _, logprobs = eager_pass(tiny, source_image, prompt, answer)
    first = len(prompt.token_ids)
    expected = [logprobs[first + t - 1, ids[first + t]].item() for t in range(len(answer.tokens))]
    np.testing.assert_allclose(answer.logprobs, expected, atol=1e-4)


@pytest.mark.parametrize("given", [None, "left lung nodule", "yes"])
def test_each_tokens_gradient_equals_its_own_eager_backward(tiny, source_image, given):
    prompt, answer, _, _, measured = measure(tiny, source_image, given)
    ids, attentions, logprobs = eager_pass(tiny, source_image, prompt, answer)
    first, columns = len(prompt.token_ids), prompt.grids[0].positions
    for token in range(len(answer.tokens)):
        row = first + token - 1
        gradients = torch.autograd.grad(logprobs[row, ids[row + 1]], attentions, retain_graph=True)
        expected = torch.stack([g[0, :, row][:, columns] for g in gradients]).numpy()
        assert np.abs(expected).max() > 0
        assert np.abs(measured[token] - expected).max() < 1e-4 * np.abs(expected).max()


def test_gradients_can_be_read_twice_and_after_one_another(tiny, source_image):
    with borrow(tiny) as live:
        live.answer(live.encode(source_image, QUESTION))
        once, twice = live.attention_gradients()[1], live.attention_gradients()[1]
    assert np.array_equal(once, twice)


@pytest.mark.parametrize("options", [{"num_beams": 3}, {"num_beams": 2, "do_sample": True}])
def test_rows_are_exact_when_decoding_does_not_go_token_by_token(source_image, options):
    model = tiny_llava()
    model.generation_config.update(max_new_tokens=6, **options)
    vlm = models.resolve(model, tiny_llava_processor(model))
    prompt, answer, shares, *_ = measure(vlm, source_image)
    _, attentions, _ = eager_pass(vlm, source_image, prompt, answer)
    first = len(prompt.token_ids) - 1
    for layer, eager in enumerate(attentions):
        rows = eager[0, :, first : first + len(answer.tokens)][..., prompt.grids[0].positions]
        assert np.abs(shares[:, layer] - rows.permute(1, 0, 2).detach().numpy()).max() < 1e-5


def test_a_cache_that_cannot_be_shared_gives_the_same_gradients(source_image):
    model = tiny_llava()
    model.generation_config.update(max_new_tokens=5)
    vlm = models.resolve(model, tiny_llava_processor(model))
    expected = measure(vlm, source_image)
    model.generation_config.cache_implementation = "static"
    found = measure(vlm, source_image)
    assert found[1].token_ids.tolist() == expected[1].token_ids.tolist()
    np.testing.assert_allclose(found[2], expected[2], atol=1e-5)
    np.testing.assert_allclose(found[4], expected[4], rtol=1e-4, atol=1e-6)


def test_scores_that_are_not_finite_are_an_error(tiny, source_image):
    with torch.no_grad():
        tiny.model.lm_head.weight.fill_(torch.nan)
    with pytest.raises(NumericalError, match="not finite"):
        measure(tiny, source_image)


def test_a_given_answer_must_not_be_empty(tiny, source_image):
    with pytest.raises(PromptError, match="no token"):
        measure(tiny, source_image, given=" ")


def test_a_control_token_typed_in_a_given_answer_is_read_as_text(tiny, source_image):
    _, answer, *_ = measure(tiny, source_image, given="yes </s> no")
    assert answer.text == "yes < / s > no"
    assert not set(answer.token_ids.tolist()) & set(tiny.processor.tokenizer.all_special_ids)


def test_attention_before_an_answer_is_refused(tiny, source_image):
    with borrow(tiny) as live:
        live.encode(source_image, QUESTION)
        with pytest.raises(UnsupportedMethod, match="Answer first"):
            live.attention()


def test_bfloat16_rows_are_exact_for_the_models_own_queries_and_keys(source_image):
    model = tiny_llava(dtype=torch.bfloat16)
    model.generation_config.max_new_tokens = 4
    vlm = models.resolve(model, tiny_llava_processor(model))
    _, answer, shares, _, gradients = measure(vlm, source_image)
    assert shares.dtype == np.float32
    assert np.isfinite(gradients).all()
    assert (shares.sum(-1) <= 1 + 1e-6).all()
    assert len(answer.tokens) == len(shares)
