"""Two models have one fingerprint if and only if they compute with the same numbers."""

import warnings
from dataclasses import replace

import pytest
import torch
from torch import nn

import groundviz
from groundviz.errors import UnsupportedModel
from groundviz.explain import explain, explain_more
from groundviz.runtime.identity import same_model, weight_hash
from groundviz.runtime.identity.weight_hash import (
    adapter_fingerprints,
    sampled_fingerprint,
    weights_fingerprint,
)
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor

QUESTION = "Is there a nodule?"


class Adapted(nn.Module):
    """A linear layer with low-rank adapters beside it, which says of itself what peft's layers say."""

    adapter_layer_names = ("lora_A", "lora_B")
    other_param_names = ("r", "scaling")

    def __init__(self, base):
        super().__init__()
        self.base_layer = base
        self.lora_A, self.lora_B = nn.ModuleDict(), nn.ModuleDict()
        self.r, self.scaling = {}, {}
        self.active_adapters, self.merged_adapters, self.disable_adapters = [], [], False

    def add(self, name, seed):
        generator = torch.Generator().manual_seed(seed)
        into, out = self.base_layer.in_features, self.base_layer.out_features
        self.lora_A[name], self.lora_B[name] = nn.Linear(into, 2, bias=False), nn.Linear(2, out, bias=False)
        for part in (self.lora_A[name], self.lora_B[name]):
            part.weight.data.normal_(generator=generator)
        self.r[name], self.scaling[name] = 2, 1.0

    def forward(self, x):
        out = self.base_layer(x)
        for name in () if self.disable_adapters else self.active_adapters:
            out = out + self.scaling[name] * self.lora_B[name](self.lora_A[name](x))
        return out


@pytest.fixture
def adapted():
    """A model with adapters "first" and "second" at one layer, and that layer."""
    model = tiny_llava()
    attention = model.model.language_model.layers[1].self_attn
    layer = attention.q_proj = Adapted(attention.q_proj)
    layer.add("first", 1)
    layer.add("second", 2)
    model.generation_config.max_new_tokens = 4
    return model, layer


def test_the_adapter_in_use_is_named_and_told_from_another(adapted):
    model, layer = adapted
    found = {}
    for name in ("first", "second"):
        layer.active_adapters = [name]
        found[name] = (adapter_fingerprints(model), weights_fingerprint(model))
        assert list(found[name][0]) == [name]
    assert found["first"][0]["first"] != found["second"][0]["second"]
    assert found["first"][1] != found["second"][1]
    layer.active_adapters = ["first", "second"]
    assert list(adapter_fingerprints(model)) == ["first", "second"]
    assert adapter_fingerprints(model)["first"] == found["first"][0]["first"]


def test_a_model_whose_adapters_are_off_is_the_one_without_them(adapted):
    model, layer = adapted
    for off in ({"active_adapters": []}, {"active_adapters": ["first"], "disable_adapters": True}):
        for name, value in off.items():
            setattr(layer, name, value)
        assert adapter_fingerprints(model) == {}
        assert weights_fingerprint(model) == weights_fingerprint(tiny_llava())


def test_another_scale_is_another_adapter(adapted):
    model, layer = adapted
    layer.active_adapters = ["first"]
    before = adapter_fingerprints(model), weights_fingerprint(model)
    layer.scaling["first"] = 0.5
    after = adapter_fingerprints(model), weights_fingerprint(model)
    assert before[0] != after[0] and before[1] != after[1]


def test_one_that_is_merged_takes_part(adapted):
    model, layer = adapted
    layer.active_adapters, layer.merged_adapters = ["first", "second"], ["first"]
    assert list(adapter_fingerprints(model)) == ["first"]


def test_a_name_that_may_be_a_path_is_not_kept(adapted):
    model, layer = adapted
    layer.add("/home/ZZPHI", 3)
    layer.active_adapters = ["/home/ZZPHI"]
    assert list(adapter_fingerprints(model)) == ["adapter 1"]


def test_a_record_names_its_adapter_and_is_extended_with_that_one_alone(adapted, source_image, tmp_path):
    model, layer = adapted
    processor = tiny_llava_processor(model)
    layer.active_adapters = ["first"]
    explanation = explain(model, source_image, QUESTION, processor=processor, methods="attention")
    kept = groundviz.open(explanation.save(tmp_path / "one.gvz"))
    assert kept.record.provenance.adapters == adapter_fingerprints(model)
    more = explain_more(kept, model, "gradient_attention", processor=processor)
    assert more.methods == ("attention", "gradient_attention")
    layer.active_adapters = ["second"]
    with pytest.raises(UnsupportedModel, match=r"it has the adapter 'second' \(.*had the adapter 'first' \("):
        explain_more(kept, model, "gradient_attention", processor=processor)
    layer.disable_adapters = True
    with pytest.raises(UnsupportedModel, match="it has no adapter in use"):
        explain_more(kept, model, "gradient_attention", processor=processor)


def test_a_live_peft_model_and_its_second_adapter():
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(
        r=2, target_modules=["q_proj"], modules_to_save=["lm_head"], init_lora_weights=False
    )
    torch.manual_seed(5)
    outer = peft.get_peft_model(tiny_llava(), config)
    outer.add_adapter("second", config)
    inner = outer.get_base_model()
    found = {}
    for name in ("default", "second"):
        outer.set_adapter(name)
        found[name] = adapter_fingerprints(inner)[name], weights_fingerprint(inner)
    assert found["default"][0] != found["second"][0] and found["default"][1] != found["second"][1]
    with outer.disable_adapter():
        assert weights_fingerprint(inner) == weights_fingerprint(tiny_llava())
    assert list(adapter_fingerprints(inner)) == ["second"]


def test_an_adapter_that_transformers_added_itself(monkeypatch):
    peft = pytest.importorskip("peft")
    monkeypatch.setattr("transformers.integrations.peft.check_peft_version", lambda **asked: None)
    model, found = tiny_llava(), set()
    for name in ("one", "two"):
        config = peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
        model.add_adapter(config, adapter_name=name)
        model.set_adapter(name)
        assert list(adapter_fingerprints(model)) == [name]
        found |= {adapter_fingerprints(model)[name], weights_fingerprint(model)}
    assert len(found) == 4
    model.disable_adapters()
    assert weights_fingerprint(model) == weights_fingerprint(tiny_llava())


def test_one_number_of_many_changes_the_fingerprint():
    model = tiny_llava()
    before, sampled = weights_fingerprint(model), sampled_fingerprint(model)
    weight = model.model.language_model.layers[0].mlp.down_proj.weight
    with torch.no_grad():
        weight[0, 1] += 1
    # The samples are every sixth number here.
    assert sampled_fingerprint(model) == sampled
    assert weights_fingerprint(model) != before


def test_stored_buffers_count_and_tables_that_are_computed_do_not():
    model = tiny_llava()
    before = weights_fingerprint(model)
    model.register_buffer("table", torch.ones(3), persistent=False)
    assert weights_fingerprint(model) == before
    model.register_buffer("mean", torch.ones(3))
    with_mean = weights_fingerprint(model)
    assert with_mean != before
    model.mean[1] = 2
    assert weights_fingerprint(model) != with_mean


def test_weights_packed_by_torch_count():
    found = set()
    for seed in (0, 1):
        torch.manual_seed(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            packed = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(8, 8)), {nn.Linear})
        assert not list(packed.parameters())
        found.add(weights_fingerprint(packed))
    assert len(found) == 2


def test_scales_beside_packed_weights_count():
    """A module that stores, as bitsandbytes' do, what its own weights are unpacked with."""

    class Packed(nn.Module):
        def __init__(self, scale):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(4, dtype=torch.int8), requires_grad=False)
            self.scale = scale

        def _save_to_state_dict(self, destination, prefix, keep_vars):
            super()._save_to_state_dict(destination, prefix, keep_vars)
            destination[prefix + "SCB"] = torch.tensor([self.scale])

    assert weights_fingerprint(Packed(1.0)) == weights_fingerprint(Packed(1.0))
    assert weights_fingerprint(Packed(1.0)) != weights_fingerprint(Packed(2.0))


def test_weights_are_hashed_block_by_block(monkeypatch):
    weight = nn.Linear(64, 64)
    found = []
    for size in (1 << 10, 1 << 10, 1 << 24):
        monkeypatch.setattr(weight_hash, "BLOCK_BYTES", size)
        weight_hash._KNOWN.clear()
        found.append(weights_fingerprint(weight))
    # The length of a block is part of what is hashed: it is fixed.
    assert found[0] == found[1] != found[2]


def test_a_model_that_did_not_change_is_read_once(monkeypatch):
    model = tiny_llava()
    found = weights_fingerprint(model)
    monkeypatch.setattr(weight_hash, "_hashed", None)
    assert weights_fingerprint(model) == found
    with torch.no_grad():
        model.lm_head.weight[0, 1] += 1
    with pytest.raises(TypeError):
        weights_fingerprint(model)


def test_records_that_hold_the_hash_of_samples_are_still_recognised(source_image):
    model = tiny_llava()
    model.generation_config.max_new_tokens = 4
    made = explain(model, source_image, QUESTION, processor=tiny_llava_processor(model)).record.provenance
    same_model.same_weights(replace(made, weights=sampled_fingerprint(model)), model)
    with pytest.raises(UnsupportedModel, match="weights' fingerprint is"):
        same_model.same_weights(made, tiny_llava(seed=1))
