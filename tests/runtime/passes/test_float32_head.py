"""Scores of a model in 16 bits are those of its hidden states, and not of its rounded logits."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import groundviz
from groundviz import models
from groundviz.demo.phantoms import phantom
from groundviz.explain import explain
from groundviz.runtime import borrow
from groundviz.runtime.passes.float32_head import ExactHead, widens
from groundviz.testing.fingerprint import difference, fingerprint
from tests.methods.linear import ANSWER, QUESTION


@pytest.fixture
def narrow(tiny):
    return models.resolve(copy.deepcopy(tiny.model).to(torch.bfloat16), tiny.processor)


def by_hand(vlm, live, answer):
    """The answer's log-probabilities, by its last hidden states before the norm, in double precision."""
    seen, parts = [], vlm.parts()
    handle = parts.final_norm.register_forward_hook(lambda module, args, output: seen.append(args[0]))
    live.scores(live.targets(answer, None, None))
    handle.remove()
    count = len(answer.token_ids)
    hidden = seen[0][0, -count - 1 : -1].double()
    norm, head = (copy.deepcopy(one).double() for one in (parts.final_norm, parts.output_head))
    # The norm of the language model computes in float32, whatever it is given.
    logprobs = torch.log_softmax(head(norm(hidden)), dim=-1)
    return logprobs[torch.arange(count), torch.from_numpy(answer.token_ids)]


def test_scores_are_those_of_the_hidden_states(narrow, source_image):
    before = fingerprint(narrow.model)
    with borrow(narrow) as live, torch.no_grad():
        answer = live.answer(live.encode(source_image, QUESTION), given=ANSWER)
        targets = live.targets(answer, list(range(len(answer.token_ids))), None)
        expected = by_hand(narrow, live, answer)
        found = live.scores(targets)[0]
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, expected, atol=2e-5)
    # The model's own logits, in 16 bits, are farther off than that.
    assert np.abs(answer.logprobs - expected.numpy()).max() > 1e-4
    assert not difference(before, fingerprint(narrow.model))


def test_gradients_pass_through(narrow, source_image):
    with borrow(narrow) as live:
        answer = live.answer(live.encode(source_image, QUESTION), given=ANSWER)
        ((_, gradients),) = live.gradients(live.targets(answer, "nodule", None), live.site("projector"))
    assert gradients.isfinite().all() and gradients.abs().max() > 0


def test_a_float32_model_and_an_adapted_head_are_left_alone():
    class Adapted(nn.Linear):
        pass

    assert widens(nn.Linear(2, 3, dtype=torch.bfloat16))
    assert not widens(nn.Linear(2, 3))
    assert not widens(Adapted(2, 3, dtype=torch.bfloat16))
    assert not widens(nn.Identity())


def test_what_a_model_does_between_norm_and_head_is_kept():
    head, norm = nn.Linear(4, 5, dtype=torch.bfloat16), nn.LayerNorm(4, dtype=torch.bfloat16)
    hidden = torch.randn(1, 6, 4, generator=torch.Generator().manual_seed(0)).bfloat16()
    exact = ExactHead(2)
    normed = norm(hidden)
    exact.norm(norm, (hidden,), normed)
    straight, scaled = normed[:, -2:], normed[:, -2:] / 3
    wide = nn.LayerNorm(4)(hidden.float())[:, -2:]
    weight, bias = head.weight.float(), head.bias.float()
    torch.testing.assert_close(exact.head(head, (straight,), head(straight)), wide @ weight.T + bias)
    torch.testing.assert_close(exact.head(head, (scaled,), head(scaled)), scaled.float() @ weight.T + bias)
    # More rows than were asked for would need twice the memory.
    assert exact.head(head, (normed,), head(normed)) is None


@pytest.mark.wide
def test_token_ablation_in_bfloat16_agrees_with_float32_where_losses_are_tiny():
    """The whole answer loses less than .0002 nats: rounded logits gave a correlation of .48."""
    vlm = groundviz.load("demo")
    low = models.resolve(copy.deepcopy(vlm.model).to(torch.bfloat16), vlm.processor)
    image = phantom(20, findings=["nodule"]).pixels
    asked = {"methods": "token_ablation"}
    full = explain(vlm, image, "Where is the nodule?", **asked)
    rounded = explain(low, image, "Where is the nodule?", answer=full.answer.text, **asked)
    one, other = full.heatmap(), rounded.heatmap()
    assert np.ptp(one.values) < 1e-3
    assert np.corrcoef(one.values.ravel(), other.values.ravel())[0, 1] > 0.95
    # What remains is stated, and is of the right size: neither map is off by much more.
    away = (other.values - other.values.mean()) - (one.values - one.values.mean())
    assert 0.2 < np.sqrt((away**2).mean()) / other.params["rounding"] < 5
    assert "rounding" not in one.params
