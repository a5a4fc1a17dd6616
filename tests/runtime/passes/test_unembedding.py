"""Words read off hidden states, against the whole vocabulary's logits by plain torch."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from groundviz.runtime.passes import unembedding
from groundviz.runtime.passes.unembedding import Unembedding

WIDTH, WORDS = 24, 5000
IDS = [4999, 3, 1200]


class AdaptedLinear(nn.Linear):
    """A head of which nobody may read the matrix alone."""

    def forward(self, hidden):
        return super().forward(hidden) + 0.5 * hidden[..., :1]


@pytest.fixture
def hidden():
    return 3 * torch.randn(2, 7, WIDTH, generator=torch.Generator().manual_seed(1))


def parts(kind=nn.Linear, *, bias=True, cap=None, dtype=torch.float32):
    torch.manual_seed(0)
    norm = LlamaRMSNorm(WIDTH)
    nn.init.normal_(norm.weight, 1.0, 0.2)
    return Unembedding(norm.to(dtype), kind(WIDTH, WORDS, bias=bias).to(dtype), cap)


def by_hand(of, hidden, less):
    """In float64, from the modules' own arithmetic."""
    logits = copy.deepcopy(of.head).double()(copy.deepcopy(of.norm).double()(hidden.double()))
    if less == "mean":
        return (logits - logits.mean(-1, keepdim=True))[..., IDS]
    if of.cap:
        logits = of.cap * torch.tanh(logits / of.cap)
    if less == "log-sum-exp":
        logits = torch.log_softmax(logits, -1)
    return logits[..., IDS]


@pytest.mark.parametrize("less", ["nothing", "mean", "log-sum-exp"])
@pytest.mark.parametrize("cap", [None, 0.5])
@pytest.mark.parametrize("kind", [nn.Linear, AdaptedLinear])
@pytest.mark.parametrize("bias", [True, False])
@torch.no_grad()
def test_words_are_those_of_the_whole_head(hidden, less, cap, kind, bias, monkeypatch):
    monkeypatch.setattr(unembedding, "WORDS_AT_ONCE", 999)
    monkeypatch.setattr(unembedding, "STATES_AT_ONCE", 4)
    of = parts(kind, bias=bias, cap=cap)
    found = of.words(hidden, IDS, less=less)
    assert found.dtype == torch.float32
    # transformers' RMS norm computes in float32 whatever it is given.
    torch.testing.assert_close(found.double(), by_hand(of, hidden, less), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_hooked_head_is_run_as_it_is(hidden):
    of = parts()
    plain = of.words(hidden, IDS)
    of.head.register_forward_hook(lambda module, args, output: output + 1)
    torch.testing.assert_close(of.words(hidden, IDS), plain + 1)


@torch.no_grad()
def test_a_word_does_not_depend_on_the_others(hidden):
    of = parts()
    many = of.words(hidden, [*IDS, *range(100, 140)], less="log-sum-exp")
    for place, token in enumerate(IDS):
        alone = of.words(hidden, [token], less="log-sum-exp")[..., 0]
        assert torch.equal(alone, many[..., place])


@torch.no_grad()
def test_a_16_bit_head_gives_float32_log_probabilities(hidden):
    of = parts(dtype=torch.bfloat16)
    states = hidden.bfloat16()
    expected = by_hand(of, states, "log-sum-exp")
    found = of.words(states, IDS, less="log-sum-exp").double()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    rounded = torch.log_softmax(of.logits(states), -1)[..., IDS].double()
    assert (rounded - expected).abs().max() > 100 * (found - expected).abs().max()
