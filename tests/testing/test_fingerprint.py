"""A fingerprint notices every change, and nothing but changes."""

import random

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AttentionInterface
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from groundviz.testing.fingerprint import difference, fingerprint
from groundviz.testing.messy import messy
from groundviz.testing.tiny.llava import tiny_llava


@pytest.fixture
def model():
    return messy(tiny_llava())


def test_two_fingerprints_of_an_untouched_model_are_equal(model):
    assert difference(fingerprint(model), fingerprint(model)) == []


def _reorder(hooks):
    hooks.move_to_end(next(iter(hooks)))


def _add_one(parameter):
    parameter.data.view(-1)[0] += 1


def layer(model):
    return model.model.language_model.layers[0]


CHANGES = {
    "a number in a weight": (lambda m: _add_one(m.lm_head.weight), "numbers"),
    "a number in a gradient": (
        lambda m: _add_one(m.model.vision_tower.embeddings.patch_embedding.bias.grad),
        "",
    ),
    "requires_grad": (lambda m: setattr(m.lm_head.weight, "requires_grad", False), "requires_grad"),
    "grad": (lambda m: m.zero_grad(), "grad"),
    "storage": (lambda m: setattr(m.lm_head.weight, "data", m.lm_head.weight.data.clone()), "object"),
    "dtype": (lambda m: m.half(), "float16"),
    "untied": (lambda m: setattr(m.lm_head, "weight", nn.Parameter(m.lm_head.weight.detach())), "lm_head"),
    "hook added": (lambda m: layer(m).register_forward_hook(print), "_forward_hooks"),
    "hooks in another order": (lambda m: _reorder(layer(m)._forward_hooks), "_forward_hooks"),
    "training": (lambda m: layer(m).train(), "training"),
    "forward of an instance": (lambda m: setattr(m, "forward", m.forward), "forward"),
    "nested attribute": (lambda m: m.user_history[0]["losses"].append(1), "user_history"),
    "parameter attribute": (lambda m: setattr(m.lm_head.weight, "user_name", 1), "attributes"),
    "config": (lambda m: setattr(m.config.text_config, "rms_norm_eps", 0.1), "rms_norm_eps"),
    "attention": (lambda m: m.set_attn_implementation("sdpa"), "_attn_implementation_internal"),
    "buffer": (lambda m: m.user_buffer.add_(1), "user_buffer"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_the_model_is_named(model, name):
    change, named = CHANGES[name]
    before = fingerprint(model)
    change(model)
    found = difference(before, fingerprint(model))
    assert any(named in line for line in found), found


def test_a_forward_patched_into_the_class_is_named(model, monkeypatch):
    before = fingerprint(model)
    monkeypatch.setattr(nn.Linear, "forward", lambda self, x: x)
    assert any("Linear" in line and "class" in line for line in difference(before, fingerprint(model)))


def test_attention_registered_or_shadowed_is_named(model, monkeypatch):
    before = fingerprint(model)
    monkeypatch.setitem(AttentionInterface._global_mapping, "mine", print)
    assert any("attention functions" in line for line in difference(before, fingerprint(model)))
    between = fingerprint(model)
    monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS._local_mapping, "sdpa", print)
    assert any("of transformers" in line for line in difference(between, fingerprint(model)))


@pytest.mark.parametrize(
    ("draw", "named"),
    [
        (random.random, "python"),
        (np.random.rand, "numpy"),
        (lambda: torch.rand(1), "torch"),
    ],
)
def test_a_random_number_drawn_is_named(model, draw, named):
    before = fingerprint(model)
    draw()
    assert [line.split(":")[0] for line in difference(before, fingerprint(model))] == [f"random {named}"]


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.int8, torch.bool]
)
def test_numbers_of_any_dtype_are_read(dtype):
    model = nn.Module()
    model.register_buffer("x", torch.tensor(1.0).to(dtype))
    before = fingerprint(model)
    model.x.zero_()
    assert [line.split(":")[0] for line in difference(before, fingerprint(model))] == ["buffer 'x' numbers"]


def test_a_model_without_numbers_has_a_fingerprint():
    with torch.device("meta"):
        model = nn.Linear(2, 2)
    before = fingerprint(model)
    model.weight.requires_grad = False
    assert difference(before, fingerprint(model)) == ["parameter 'weight' requires_grad: True -> False"]
