import json
import pickle
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from groundviz.errors import UnsupportedModel
from groundviz.models.checkpoints.reading.weights import Weights

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "b.bias": torch.ones(4, dtype=torch.float16)}


class Payload:
    """What a malicious pickle holds: a call made while it is read."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (open, (str(self.mark), "w"))


def sharded(place, names, save, index):
    """One file for each name, and their index."""
    homes = {}
    for (key, tensor), file in zip(TENSORS.items(), names, strict=True):
        save({key: tensor}, place / file)
        homes[key] = file
    (place / index).write_text(json.dumps({"weight_map": homes}), "utf-8")
    return place


def saved(place, kind):
    """A checkpoint's folder, or its one file."""
    if kind == "file":
        save_file(TENSORS, place / "weights.safetensors")
        return place / "weights.safetensors"
    if kind == "safe":
        save_file(TENSORS, place / "model.safetensors")
    elif kind == "pickled":
        torch.save(TENSORS, place / "pytorch_model.bin")
    elif kind == "safe shards":
        names = [f"model-0000{k}-of-00002.safetensors" for k in (1, 2)]
        sharded(place, names, save_file, "model.safetensors.index.json")
    else:
        sharded(place, ["one.bin", "two.bin"], torch.save, "pytorch_model.bin.index.json")
    return place


@pytest.mark.parametrize("kind", ["file", "safe", "pickled", "safe shards", "pickled shards"])
def test_every_tensor_is_found_whatever_file_it_lies_in(tmp_path, kind):
    weights = Weights.at(saved(tmp_path, kind))
    assert sorted(weights) == sorted(TENSORS)
    assert len(weights) == 2
    for name, tensor in TENSORS.items():
        assert weights.shape(name) == tuple(tensor.shape)
        assert torch.equal(weights[name], tensor)
        assert weights[name].dtype == tensor.dtype
    assert weights.format == ("pickle" if "pickled" in kind else "safetensors")


def test_safetensors_go_before_pickles(tmp_path):
    saved(tmp_path, "safe")
    torch.save({"other": torch.ones(1)}, tmp_path / "pytorch_model.bin")
    assert sorted(Weights.at(tmp_path)) == sorted(TENSORS)


def test_tensors_inside_a_training_file_are_found(tmp_path):
    torch.save({"state_dict": TENSORS, "epoch": 3, "optimizer": {"step": 9}}, tmp_path / "run.pt")
    assert sorted(Weights.at(tmp_path / "run.pt", inside="state_dict")) == sorted(TENSORS)
    with pytest.raises(UnsupportedModel, match="something other than named tensors"):
        Weights.at(tmp_path / "run.pt")
    with pytest.raises(UnsupportedModel, match="something other than named tensors"):
        Weights.at(tmp_path / "run.pt", inside="weights")


def test_shapes_are_told_without_reading(tmp_path, monkeypatch):
    weights = Weights.at(saved(tmp_path, "safe"))
    monkeypatch.setattr(Weights, "__getitem__", None)
    assert weights.shape("a.weight") == (2, 3)


@pytest.mark.parametrize("nested", [False, True])
def test_a_malicious_pickle_is_refused_and_not_run(tmp_path, nested):
    mark = tmp_path / "ran"
    payload = Payload(mark)
    torch.save({"a": torch.ones(1), "b": payload} if nested else payload, tmp_path / "pytorch_model.bin")
    mark.unlink(missing_ok=True)
    with pytest.raises(UnsupportedModel, match=r"asks to run \w*\.?open.*safetensors") as caught:
        Weights.at(tmp_path)
    assert not mark.exists()
    assert str(tmp_path) not in str(caught.value)


def test_a_bare_pickle_is_refused_and_not_run(tmp_path):
    mark = tmp_path / "ran"
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Payload(mark)))
    mark.unlink(missing_ok=True)
    with pytest.raises(UnsupportedModel, match="cannot be read"):
        Weights.at(tmp_path)
    assert not mark.exists()


@pytest.mark.parametrize("kind", ["safe", "pickled", "safe shards", "pickled shards"])
@pytest.mark.parametrize("kept", [0, 40, -30])
def test_a_file_that_is_cut_off_is_refused(tmp_path, kind, kept):
    saved(tmp_path, kind)
    file = sorted(one for one in tmp_path.iterdir() if one.suffix in (".safetensors", ".bin"))[-1]
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(UnsupportedModel, match=r"cannot be read.*Download the checkpoint again") as caught:
        Weights.at(tmp_path)
    assert file.name not in str(caught.value)


def test_a_missing_shard_is_named_as_such(tmp_path):
    saved(tmp_path, "safe shards")
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(UnsupportedModel, match="is missing"):
        Weights.at(tmp_path)


def test_what_the_index_names_and_no_shard_holds_is_reported(tmp_path):
    saved(tmp_path, "safe shards")
    index = tmp_path / "model.safetensors.index.json"
    homes = json.loads(index.read_text("utf-8"))["weight_map"]
    index.write_text(json.dumps({"weight_map": {**homes, "c.weight": next(iter(homes.values()))}}), "utf-8")
    with pytest.raises(
        UnsupportedModel, match=r"names 1 tensors that its files do not hold, such as 'c\.weight'"
    ):
        Weights.at(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "{}", '{"weight_map": 3}', '{"weight_map": {"a": 3}}', pytest.param("[" * 9999, id="deep")],
)
def test_an_index_that_is_none_is_reported(tmp_path, text):
    (tmp_path / "model.safetensors.index.json").write_text(text, "utf-8")
    with pytest.raises(UnsupportedModel, match="index of weights cannot be read"):
        Weights.at(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["../other.safetensors", "/etc/passwd", "deep/one.safetensors", "..", "", "a\0b", "\ud800", "x" * 300],
)
def test_an_index_reaches_no_other_folder(tmp_path, name):
    place = tmp_path / "checkpoint"
    place.mkdir()
    save_file(TENSORS, tmp_path / "other.safetensors")
    (place / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}), "utf-8")
    with pytest.raises(UnsupportedModel, match="outside its own folder"):
        Weights.at(place)


def test_one_tensor_in_two_files_is_reported(tmp_path):
    for name in ("one", "two"):
        save_file({"a": torch.ones(1)}, tmp_path / f"{name}.safetensors")
    with pytest.raises(UnsupportedModel, match="'a'; one should"):
        Weights.at(tmp_path)


def test_a_compressed_pickle_is_refused_before_it_is_read(tmp_path, monkeypatch):
    torch.save(TENSORS, tmp_path / "plain")
    with zipfile.ZipFile(tmp_path / "plain") as plain:
        parts = {part: plain.read(part) for part in plain.namelist()}
    with zipfile.ZipFile(tmp_path / "pytorch_model.bin", "w", zipfile.ZIP_DEFLATED) as small:
        for part, content in parts.items():
            small.writestr(part, content + bytes(2**20) * part.endswith("data.pkl"))
    monkeypatch.setattr(torch, "load", None)
    with pytest.raises(UnsupportedModel, match="compressed"):
        Weights.at(tmp_path)


def test_tensors_without_names_are_refused(tmp_path):
    torch.save({1: torch.ones(2)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(UnsupportedModel, match="something other than named tensors"):
        Weights.at(tmp_path)


STRANGE = {
    "posing as a million": torch.ones(1).expand(1000, 1000),
    "sparse": torch.eye(4).to_sparse(),
    "nowhere": torch.empty(4, device="meta"),
    "whole": torch.ones(4, dtype=torch.int64),
    "complex": torch.ones(4, dtype=torch.complex64),
    "tiny": torch.ones(4, dtype=torch.float8_e4m3fn),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_only_numbers_that_stand_in_the_file_are_plain(tmp_path, kind):
    torch.save({"a": STRANGE[kind], "b": torch.nn.Parameter(torch.ones(2))}, tmp_path / "pytorch_model.bin")
    weights = Weights.at(tmp_path)
    assert not weights.is_plain("a")
    assert weights.is_plain("b")


@pytest.mark.parametrize("kind", ["whole", "complex", "tiny"])
def test_safetensors_of_other_numbers_are_not_plain(tmp_path, kind):
    save_file({"a": STRANGE[kind], "b": torch.ones(2, dtype=torch.bfloat16)}, tmp_path / "model.safetensors")
    weights = Weights.at(tmp_path)
    assert not weights.is_plain("a")
    assert weights.is_plain("b")


def test_a_folder_without_weights_says_what_it_should_hold(tmp_path):
    with pytest.raises(UnsupportedModel, match=r"\*\.safetensors"):
        Weights.at(tmp_path)
