"""What a name stands for, and that nothing but a hub id is ever asked of the network."""

import time
from pathlib import Path

import pytest
import torch

import groundviz
from groundviz import models
from groundviz.errors import UnsupportedModel
from groundviz.models.loading.places import local_folder
from groundviz.testing.tiny.llava import tiny_llava, tiny_llava_processor
from tests.models.network import no_network as no_network


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "models" / "llava-v1"
    tiny_llava().save_pretrained(place)
    tiny_llava_processor(tiny_llava()).save_pretrained(place)
    return place


@pytest.mark.parametrize(
    "name",
    [
        "dmeo",
        "Demo",
        "demos",
        "my-modle",
        "./my-modle",
        "../lab/model",
        "~/my-modle",
        "~nobody/x",
        "C:\\models\\x",
        "C:/models/x",
        "models/llava-v2",
        "models/llava/v1",
        "/nowhere/model",
        "lab\\model",
        "lab/model/",
        "/lab/model",
        "lab//model",
        "http://lab/model",
        "hf://lab/model",
        "lab/model?x=1",
        "lab/model@main",
        "lab/ model",
        "lab/mo--del",
        "lab/..",
        ".lab/model",
        "lab/.model",
        "låb/model",
        "",
        "a\0b",
    ],
)
def test_what_is_no_hub_id_is_asked_of_nobody(name, folder, monkeypatch, no_network):
    monkeypatch.chdir(folder.parent.parent)
    for give in (models.load, models.resolve, lambda place: models.load(folder, processor=place)):
        with pytest.raises(UnsupportedModel, match=r"as \w+ is a folder that is not there\.") as caught:
            give(name)
        assert no_network == []
        assert name.strip("./~") == "" or name not in str(caught.value)


@pytest.mark.parametrize("name", ["dmeo", "Demo", "DEMO", "demo1", "deom"])
def test_a_slip_of_demo_is_answered_with_demo(name, no_network):
    with pytest.raises(UnsupportedModel, match='Did you mean "demo"'):
        groundviz.explain(name, None, "?")
    assert no_network == []


def test_a_hub_id_is_asked_of_the_hub(monkeypatch, no_network, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert local_folder("lab/model-v1.5_x") is None
    # The hub's own client tries again and again, and waits longer each time.
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    with pytest.raises(UnsupportedModel):
        models.load("lab/model-of-nobody-1")
    assert no_network


def test_a_path_object_is_never_a_hub_id(monkeypatch, no_network, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnsupportedModel, match="Nothing was asked of the network"):
        models.load(Path("lab/model"))
    assert no_network == []


def test_a_folder_of_the_owners_name_makes_it_a_path_unless_a_revision_is_given(folder, monkeypatch):
    monkeypatch.chdir(folder.parent.parent)
    assert local_folder("models/llava-v1") == Path("models/llava-v1")
    with pytest.raises(UnsupportedModel, match=r"nearly that name: 1\. .*hub id, say so with revision"):
        local_folder("models/llava-v2")
    assert local_folder("models/llava-v2", revision="main") is None


def test_the_home_folder_is_known(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent.parent))
    assert models.load("~/models/llava-v1").name == "local folder"


def test_base_and_vision_are_asked_of_nobody_either(no_network):
    for part in ("base", "vision"):
        with pytest.raises(UnsupportedModel, match=f"given as {part} is"):
            local_folder("./none", called=part)
    assert no_network == []


WRONG = {
    "None": (None, "None"),
    "bytes": (b"demo", "an object of type bytes"),
    "a list": (["demo"], "an object of type list"),
    "an int": (3, "an object of type int"),
    "a tensor": (torch.ones(2), "an object of type Tensor"),
    "a state dict": ({}, "an object of type dict"),
    "a class": (type(tiny_llava()), "the class LlavaForConditionalGeneration, and not an object"),
    "a tokenizer": (tiny_llava_processor(tiny_llava()).tokenizer, r"the tokenizer \w+, which goes to proc"),
    "a processor": (tiny_llava_processor(tiny_llava()), "the processor LlavaProcessor, which goes to proc"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_model_is_named_with_what_would_be_one(kind):
    given, says = WRONG[kind]
    for take in (models.load, models.resolve, models.certify, lambda one: groundviz.explain(one, None, "?")):
        with pytest.raises(
            UnsupportedModel, match=f"No model was given, but {says}.*Give a transformers model"
        ):
            take(given)
