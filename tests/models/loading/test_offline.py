"""Whatever a local folder's files name, nothing is asked of the network, and nothing absurd is allocated."""

import json
import shutil
import sys
import threading
from urllib.request import urlopen

import pytest
import torch
from safetensors.torch import load_file, save_file

from groundviz import models
from groundviz.errors import MissingExtra, UnsupportedModel
from groundviz.models.loading import adapter_folders
from groundviz.models.loading.offline import closed
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor
from tests.models.network import no_network as no_network

THEIRS = "lab/theirs"


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "model"
    tiny_llava().save_pretrained(place)
    tiny_llava_processor(tiny_llava()).save_pretrained(place)
    return place


def rewritten(file, **entries):
    held = json.loads(file.read_text("utf-8")) if file.exists() else {}
    file.write_text(json.dumps(held | entries), "utf-8")


MAP = {"AutoModelForImageTextToText": f"{THEIRS}--m.M", "AutoProcessor": f"{THEIRS}--p.P"}
SETTINGS = {
    "kernel": ("config.json", {"attn_implementation": "kernels-community/flash-attn"}),
    "kernel, spelt inside": ("config.json", {"_attn_implementation": f"{THEIRS}:attention"}),
    "kernel of a part": (
        "config.json",
        {"text_config": {"model_type": "llama", "attn_implementation": THEIRS}},
    ),
    "kernel by part": ("config.json", {"attn_implementation": {"text_config": THEIRS}}),
    "experts": ("config.json", {"experts_implementation": THEIRS}),
    "name": ("config.json", {"_name_or_path": THEIRS, "name_or_path": THEIRS}),
    "code": ("config.json", {"auto_map": MAP}),
    "code, unknown type": ("config.json", {"auto_map": MAP, "model_type": "theirs"}),
    "packed": (
        "config.json",
        {"quantization_config": {"quant_method": "gptq", "tokenizer": THEIRS}},
    ),
    "tower": ("config.json", {"vision_config": {"model_type": "timm_wrapper", "architecture": THEIRS}}),
    "tokenizer": ("tokenizer_config.json", {"tokenizer_file": THEIRS, "name_or_path": THEIRS}),
    "tokenizer's code": ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": [None, f"{THEIRS}--t.T"]}}),
    "processor's code": ("processor_config.json", {"auto_map": MAP, "processor_class": "Theirs"}),
    "generation": ("generation_config.json", {"custom_generate": THEIRS, "assistant_model": THEIRS}),
    "adapter beside": ("adapter_config.json", {"base_model_name_or_path": THEIRS, "peft_type": "LORA"}),
}


@pytest.mark.parametrize("kind", SETTINGS)
def test_nothing_that_a_folder_names_is_asked_for(kind, folder, no_network):
    file, entries = SETTINGS[kind]
    rewritten(folder / file, **entries)
    try:
        vlm = models.load(folder)
    except (UnsupportedModel, MissingExtra):
        vlm = None
    assert no_network == []
    refused = ("kernel", "experts", "tower", "code, ", "processor's")
    assert kind in ("packed", "adapter beside") or (vlm is None) == kind.startswith(refused)


@pytest.mark.parametrize("file", ["processor_config", "tokenizer", "config", "model"])
def test_what_is_missing_is_not_asked_for(file, folder, no_network):
    rewritten(folder / "config.json", _name_or_path=THEIRS)
    (folder / f"{file}.{'safetensors' if file == 'model' else 'json'}").unlink()
    with pytest.raises(UnsupportedModel):
        models.load(folder)
    assert no_network == []


def test_a_named_kernel_is_refused_before_anything_is_loaded(folder, monkeypatch):
    rewritten(folder / "config.json", attn_implementation="kernels-community/flash-attn")
    monkeypatch.setitem(models.load.__globals__, "_native", None)
    with pytest.raises(UnsupportedModel, match="names code from elsewhere as its attn_implementation"):
        models.load(folder)


def test_only_the_thread_that_reads_has_no_network(no_network):
    def ask():
        with pytest.raises(OSError, match="no network"):
            urlopen("http://huggingface.co")

    with closed():
        other = threading.Thread(target=ask)
        other.start()
        other.join()
        assert len(no_network) == 1
        with closed(wanted=False):
            ask()
    ask()
    assert len(no_network) == 3


@pytest.fixture
def adapter(folder, tmp_path):
    """A folder with an adapter alone, of the model in the other one."""
    place = tmp_path / "adapter"
    place.mkdir()
    target = "model.language_model.layers.0.self_attn.q_proj"
    weight = tiny_llava().get_submodule(target).weight
    into = {f"base_model.model.{target}.lora_A.weight": torch.ones(2, weight.shape[1])}
    into[f"base_model.model.{target}.lora_B.weight"] = torch.ones(weight.shape[0], 2)
    save_file(into, place / "adapter_model.safetensors")
    named = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": [target]}
    rewritten(place / "adapter_config.json", base_model_name_or_path=str(folder), **named)
    return place


def test_an_adapter_of_a_hub_model_needs_the_users_word(adapter, no_network, monkeypatch):
    monkeypatch.setattr(adapter_folders, "find_spec", lambda name: name)
    rewritten(adapter / "adapter_config.json", base_model_name_or_path=THEIRS)
    with pytest.raises(UnsupportedModel, match=r"names 'lab/theirs'\. .*load\(\.\.\., base=\.\.\.\)"):
        models.load(adapter)
    rewritten(adapter / "adapter_config.json", base_model_name_or_path="//server/share")
    with pytest.raises(UnsupportedModel, match="names no folder here"):
        models.load(adapter)
    assert no_network == []


@pytest.mark.parametrize("base", ["named", "given"])
def test_an_adapter_falls_back_to_its_bases_processor(adapter, folder, base, monkeypatch, no_network):
    """What peft does is done by hand, so that the rest is tested without it."""
    monkeypatch.setattr(adapter_folders, "find_spec", lambda name: name)
    seen = []
    kind = type(tiny_llava())
    monkeypatch.setattr(kind, "load_adapter", lambda model, place, **options: seen.append((place, options)))
    if base == "given":
        rewritten(adapter / "adapter_config.json", base_model_name_or_path=THEIRS)
    vlm = models.load(adapter, **({"base": folder} if base == "given" else {}))
    assert seen == [(str(adapter), {})]
    assert vlm.processor.tokenizer.get_vocab() == tiny_llava_processor(tiny_llava()).tokenizer.get_vocab()
    assert vlm.describe().count("adapter: local folder\nbase: local folder") == 1
    assert no_network == []


def test_an_adapter_that_peft_reads(adapter, monkeypatch, no_network):
    pytest.importorskip("peft")
    monkeypatch.setattr("transformers.integrations.peft.check_peft_version", lambda **asked: None)
    layer = models.load(adapter).model.model.language_model.layers[0].self_attn.q_proj
    assert layer.active_adapters == ["default"]
    assert torch.equal(layer.lora_A["default"].weight, torch.ones_like(layer.lora_A["default"].weight))
    assert no_network == []


def test_an_adapter_needs_peft_and_its_weights(adapter, monkeypatch):
    monkeypatch.setattr(adapter_folders, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="pip install peft"):
        models.load(adapter)
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(UnsupportedModel, match="pickles are not read"):
        models.load(adapter)


def sharded(folder, name):
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    index = {"metadata": {"total_size": 1}, "weight_map": dict.fromkeys(tensors, name)}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    return tensors


@pytest.mark.parametrize(
    "name", ["../other.safetensors", "deep/other.safetensors", "/other.safetensors", ".."]
)
def test_an_index_reaches_no_other_folder(folder, name):
    save_file(sharded(folder, name), folder.parent / "other.safetensors", {"format": "pt"})
    with pytest.raises(UnsupportedModel, match="outside its own folder"):
        models.load(folder)


def test_a_link_out_of_the_folder_is_outside_it_unless_it_is_the_hubs_own(folder, tmp_path):
    tensors = sharded(folder, "one.safetensors")
    save_file(tensors, tmp_path / "other.safetensors", {"format": "pt"})
    (folder / "one.safetensors").symlink_to(tmp_path / "other.safetensors")
    with pytest.raises(UnsupportedModel, match="outside its own folder"):
        models.load(folder)
    home = tmp_path / "models--lab--model"
    (home / "blobs").mkdir(parents=True)
    shutil.move(tmp_path / "other.safetensors", home / "blobs" / "abc")
    (folder / "one.safetensors").unlink()
    shutil.move(folder, home / "snapshots" / "91bb")
    (home / "snapshots" / "91bb" / "one.safetensors").symlink_to("../../blobs/abc")
    assert models.load(home / "snapshots" / "91bb").family_name == "llava"


ABSURD = {
    "hidden": {"hidden_size": 10**9},
    "hidden, just too many": {"hidden_size": 4096, "intermediate_size": 11008},
    "words": {"vocab_size": 10**9},
    "layers": {"num_hidden_layers": 10**9},
    "layers, not so many": {"num_hidden_layers": 20_000},
}


@pytest.mark.parametrize("kind", ABSURD)
def test_sizes_that_the_files_cannot_fill_are_refused_before_they_are_allocated(kind, folder, monkeypatch):
    config = json.loads((folder / "config.json").read_text("utf-8"))
    rewritten(folder / "config.json", text_config=config["text_config"] | ABSURD[kind])
    monkeypatch.setattr(models.load.__globals__["AutoModelForImageTextToText"], "from_pretrained", None)
    with pytest.raises(UnsupportedModel, match="does not fit its config, which asks for"):
        models.load(folder)


def test_a_long_header_is_refused(folder):
    held = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes((40 << 20).to_bytes(8, "little") + held + bytes(41 << 20))
    with pytest.raises(UnsupportedModel, match="at most 33554432 are read"):
        models.load(folder)


def test_the_hook_that_counts_is_gone_afterwards(folder):
    hooks = sys.modules["torch.nn.modules.module"]._global_parameter_registration_hooks
    models.load(folder)
    assert not hooks
