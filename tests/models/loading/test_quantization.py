"""Quantised weights. Without bitsandbytes only the error message can be tested."""

import json
import re
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from torch import nn
from transformers import LlavaForConditionalGeneration

import groundviz
from groundviz import models
from groundviz.errors import MissingExtra, UnsupportedMethod, UnsupportedModel
from groundviz.models.loading import quantization
from groundviz.testing.families import TINY
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor
from tests.models.checkpoints.originals import Reference
from tests.support.conditions import MODELS
from tests.support.kinds import EVERY_KIND
from tests.support.quick import quick

packs = pytest.mark.skipif(
    any(find_spec(name) is None for name in quantization.NEEDED),
    reason="bitsandbytes or accelerate is missing",
)
PUBLISHED = ["sigphi_phi35", "sigphi_phi2", "llavamed15"]
QUESTION = "Is there a nodule?"
ANSWER = "left lung nodule"


def wide():
    """A tiny LLaVA whose decoder is 64 channels wide: four bits come in blocks of so many."""
    config = tiny_llava().config
    text = config.text_config
    text.hidden_size, text.intermediate_size, text.head_dim = 64, 128, 16
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(config).eval()
    for one in model.parameters():
        one.data.normal_(std=0.1)
    model.generation_config.max_new_tokens = 4
    return model


@pytest.fixture
def image():
    return np.random.default_rng(1).random((29, 37), dtype=np.float32)


@pytest.fixture
def folder(tmp_path):
    model = wide()
    model.save_pretrained(tmp_path)
    tiny_llava_processor(model).save_pretrained(tmp_path)
    return tmp_path


def packed_layers(model):
    """Names of the linear layers that are not torch's own."""
    kinds = ("Linear8bitLt", "Linear4bit")
    return {name for name, one in model.named_modules() if type(one).__name__ in kinds}


def maps(vlm, image, methods):
    """By method, its map or why there is none."""
    found = {}
    for method in methods:
        try:
            ask = {"answer": ANSWER, "methods": quick(method)}
            found[method] = groundviz.explain(vlm, image, QUESTION, **ask).heatmap(method).values
        except UnsupportedMethod as refusal:
            found[method] = str(refusal)
    return found


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("family", EVERY_KIND)
def test_all_linear_layers_outside_the_decoder_are_kept(family, bits, monkeypatch):
    asked = {}
    monkeypatch.setattr(quantization, "BitsAndBytesConfig", lambda **options: asked.update(options))
    vlm = models.resolve(*TINY[family]())
    quantization.packing(bits, vlm.model, torch.float16)
    kept = asked["llm_int8_skip_modules"]
    decoder = {one for layer in vlm.parts().decoder_layers for one in layer.modules()}
    for name, layer in vlm.model.named_modules():
        if isinstance(layer, nn.Linear):
            # What transformers skips: whatever a name stands for, with all that is in it.
            stays = any(name == one or name.startswith(f"{one}.") for one in kept)
            whole = layer.in_features % 64 == 0 and layer.out_features % 32 == 0
            assert stays == (layer not in decoder or (bits == 4 and not whole))
    assert not any(decoder & set(vlm.model.get_submodule(name).modules()) for name in kept) or bits == 4


def test_of_an_unknown_architecture_transformers_keeps_what_it_knows_of():
    class Config:
        model_type = "telepathy"

    model = nn.Sequential(nn.Linear(64, 64))
    model.config = Config()
    assert quantization.packing(8, model, None).llm_int8_skip_modules is None


@pytest.mark.parametrize("dtype", ["int8", "int4", torch.int8])
def test_what_packs_weights_must_be_installed(folder, dtype, monkeypatch):
    monkeypatch.setattr(quantization, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="pip install accelerate bitsandbytes"):
        models.load(folder, dtype=dtype)


def test_weights_are_packed_once(tmp_path, monkeypatch):
    monkeypatch.setattr(quantization, "find_spec", lambda name: name)
    packed = {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llava", **packed}), "utf-8")
    with pytest.raises(UnsupportedModel, match="packed already"):
        models.load(tmp_path, dtype="int4")


def test_code_beside_the_weights_is_not_run_to_learn_what_can_be_packed(tmp_path, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *asked: "y")
    described = {"model_type": "llama", "auto_map": {"AutoModelForImageTextToText": "theirs.Model"}}
    (tmp_path / "config.json").write_text(json.dumps(described), "utf-8")
    (tmp_path / "theirs.py").write_text("raise SystemExit", "utf-8")
    with pytest.raises(ValueError, match=r"trust_remote_code|custom code"):
        quantization.packing_at(tmp_path, "main", 8, None)


def test_methods_named_in_a_refusal_are_those_that_need_no_gradient(image):
    model = MODELS["int8 (torch, dynamic)"](tiny_llava())
    found = maps(models.resolve(model, tiny_llava_processor(tiny_llava())), image, groundviz.METHODS)
    reasons = {one for one in found.values() if isinstance(one, str)}
    works = {method for method, one in found.items() if not isinstance(one, str)}
    assert len(works) > 5
    assert {method for method in found if re.search(rf"\b{method}\b", *reasons)} == works


@packs
@pytest.mark.parametrize("dtype", ["int8", "int4"])
def test_a_saved_model_is_packed_and_answers_nearly_as_before(folder, image, dtype):
    vlm = models.load(folder, dtype=dtype)
    assert vlm.describe().count(f"packed: the language model's layers, to {dtype[-1]} bits") == 1
    names = packed_layers(vlm.model)
    assert names
    assert all("language_model.layers" in name for name in names)
    assert vlm.model.get_parameter("lm_head.weight").dtype == torch.float32
    plain = maps(models.load(folder), image, ["attention", "occlusion"])
    for method, found in maps(vlm, image, plain).items():
        assert np.corrcoef(found.ravel(), plain[method].ravel())[0, 1] > 0.9
    assert vlm.generate(image, QUESTION)


@packs
@pytest.mark.parametrize("dtype", ["int8", "int4"])
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_checkpoint_is_packed_tensor_by_tensor(name, dtype, image):
    place = Reference(name).place / "checkpoint"
    vlm = models.load(place, dtype=dtype)
    plain = models.load(place).model.state_dict()
    packed = packed_layers(vlm.model)
    assert packed
    for key, weight in vlm.model.state_dict().items():
        if key.rpartition(".")[0] not in packed and key in plain:
            assert torch.equal(weight, plain[key])
    assert not any(one.is_meta for one in vlm.model.parameters())
    for method, found in maps(vlm, image, ["attention", "occlusion"]).items():
        assert np.isfinite(found).any(), method


@packs
@pytest.mark.parametrize("dtype", ["int8", "int4"])
def test_a_mixture_runs_on_packed_experts_and_its_router_is_kept(dtype, image):
    # The fixture has no tokenizer, and the other's has as many words.
    processor = models.load(Reference("sigphi_phi2").place / "checkpoint").processor
    place = Reference("medmoe_phi").place
    vlm = models.load(place / "checkpoint", vision=place / "hub_clip", dtype=dtype, processor=processor)
    packed = packed_layers(vlm.model)
    assert any(".experts." in name for name in packed)
    gates = {str(one.dtype) for name, one in vlm.model.named_parameters() if ".gate." in name}
    assert gates and not gates & {"torch.int8", "torch.uint8"}


@packs
def test_eight_bits_pass_the_gradient_of_the_weights_they_stand_for(folder, image):
    vlm = models.load(folder, dtype="int8")
    unpacked = models.load(folder)
    for name in packed_layers(vlm.model):
        weight = vlm.model.get_submodule(name).weight
        unpacked.model.get_submodule(name).weight.data = weight.CB.float() * weight.SCB[:, None] / 127
    wanted = maps(unpacked, image, ["gradient_norm", "gradient_attention"])
    for method, found in maps(vlm, image, wanted).items():
        assert np.corrcoef(found.ravel(), wanted[method].ravel())[0, 1] > 0.98


@packs
def test_four_bits_give_a_gradient_or_name_the_methods_that_ask_for_none(folder, image):
    found = maps(models.load(folder, dtype="int4"), image, ["gradient_attention", "input_gradient"])
    for one in found.values():
        # Which of the two is a matter of the device's kernel.
        assert not isinstance(one, str) or ("Linear4bit has no gradient" in one and "occlusion" in one)
