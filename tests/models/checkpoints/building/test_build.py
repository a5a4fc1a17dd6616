import gc
import json
import threading
import weakref
from importlib.util import find_spec

import pytest
import torch
from transformers import LlavaForConditionalGeneration

from groundviz import models
from groundviz.errors import UnsupportedModel
from groundviz.models.checkpoints.building import build as building
from groundviz.models.checkpoints.building.layout import LAYOUTS, Checkpoint
from groundviz.models.checkpoints.reading.weights import Weights
from tests.models.checkpoints.originals import Reference, rewritten

PHI = Reference("sigphi_phi35").place / "checkpoint"
NORM = "language_model.model.norm.weight"


def planned(config=None, folder=PHI):
    """The plan of SigPhi-Med's fixture."""
    return LAYOUTS["tinyllava"].plan(Checkpoint(config=config or config_of(folder), folder=folder))


def config_of(folder):
    return json.loads((folder / "config.json").read_text("utf-8"))


def test_a_tensor_without_a_place_is_an_error(tmp_path):
    extra = {"language_model.adapter.weight": torch.ones(2), "connector.scale": torch.ones(1)}
    place = rewritten(PHI, tmp_path, changed=extra)
    with pytest.raises(UnsupportedModel, match=r"2 without a place in the model: connector\.scale, language"):
        models.load(place)


def test_a_tensor_under_a_known_prefix_without_a_place_is_an_error(tmp_path):
    place = rewritten(PHI, tmp_path, changed={"language_model.model.layers.3.bias": torch.ones(2)})
    with pytest.raises(UnsupportedModel, match="1 without a place in the model"):
        models.load(place)


def test_a_missing_tensor_is_an_error(tmp_path):
    place = rewritten(PHI, tmp_path, without=NORM)
    with pytest.raises(UnsupportedModel, match=r"1 missing: model\.language_model\.norm\.weight"):
        models.load(place)


def test_a_tensor_of_another_shape_is_an_error(tmp_path):
    place = rewritten(PHI, tmp_path, changed={NORM: torch.ones(63)})
    with pytest.raises(UnsupportedModel, match=r"1 of another shape: .*norm\.weight \(63,\) for \(64,\)"):
        models.load(place)


@pytest.mark.parametrize("dtype", [torch.int8, torch.float8_e4m3fn, torch.complex64])
def test_a_tensor_of_other_numbers_is_an_error(tmp_path, dtype):
    place = rewritten(PHI, tmp_path, changed={NORM: torch.ones(64).to(dtype)})
    with pytest.raises(UnsupportedModel, match=r"1 of other numbers than .*model\.norm\.weight"):
        models.load(place)


@pytest.mark.parametrize("part", ["text_config", "vision_config"])
def test_layers_that_nobody_stored_are_not_made(tmp_path, part, monkeypatch):
    monkeypatch.setattr(building, "_empty", None)
    config = config_of(PHI)[part] | {"num_hidden_layers": 10**9}
    with pytest.raises(UnsupportedModel, match=r"asks for 1000000000 layers or experts: it has \d+ tensors"):
        models.load(rewritten(PHI, tmp_path, **{part: config}))


def test_names_of_tensors_cannot_write_to_the_terminal(tmp_path):
    place = rewritten(PHI, tmp_path, changed={"\x1b[2J" + "x" * 500: torch.ones(2)})
    with pytest.raises(UnsupportedModel, match=r"in the model: \?\[2Jx{196}\. Give"):
        models.load(place)


def test_what_every_version_computes_itself_may_lie_in_the_file(tmp_path):
    changed = {
        "language_model.model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(8),
        "vision_tower._vision_tower.vision_model.embeddings.position_ids": torch.arange(16),
    }
    assert models.load(rewritten(PHI, tmp_path, changed=changed)).family_name == "llava"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_every_weight_comes_in_the_dtype_asked_for_and_none_is_left_empty(dtype):
    model = building.build(planned(), dtype=dtype)
    assert {one.dtype for one in model.parameters()} == {dtype}
    assert not any(one.is_meta for one in [*model.parameters(), *model.buffers()])
    assert not model.training


def test_what_is_computed_and_not_stored_is_as_in_a_model_made_directly():
    plan = planned()
    wanted = dict(building.PublishedLlava(plan.config).named_buffers())
    # Tables computed in half precision would be rounded in every dtype after.
    for dtype in (torch.float32, torch.bfloat16):
        found = dict(building.build(plan, dtype=dtype).named_buffers())
        assert found.keys() == wanted.keys()
        assert any("inv_freq" in name for name in found)
        for name, buffer in wanted.items():
            assert torch.equal(found[name], buffer)


def test_weights_do_not_live_in_the_checkpoints_file(tmp_path):
    place = rewritten(PHI, tmp_path)
    model = models.load(place, dtype="float16").model
    before = {name: one.clone() for name, one in model.named_parameters()}
    file = place / "model.safetensors"
    with file.open("rb+") as open_file:
        open_file.seek(-4096, 2)
        open_file.write(bytes(4096))
    assert all(torch.equal(one, before[name]) for name, one in model.named_parameters())


def test_few_tensors_of_the_checkpoint_are_held_at_once(monkeypatch):
    read, lock = Weights.__getitem__, threading.Lock()
    alive, most, seen = 0, 0, []

    def counted(weights, name):
        nonlocal alive, most
        # A copy, whose life is that of the tensor read and not that of the file.
        tensor = read(weights, name).clone()
        with lock:
            alive, most = alive + 1, max(most, alive + 1)
            seen.append(name)
        weakref.finalize(tensor, released)
        return tensor

    def released():
        nonlocal alive
        alive -= 1

    monkeypatch.setattr(Weights, "__getitem__", counted)
    model = building.build(planned(), dtype=torch.float32)
    gc.collect()
    assert sorted(seen) == sorted(set(seen))
    assert len(seen) == len(model.state_dict()) == 89
    assert alive == 0
    # Transformers reads with four threads.
    assert most <= 8


def test_ignored_tensors_are_never_read(monkeypatch):
    read, seen = Weights.__getitem__, set()
    monkeypatch.setattr(Weights, "__getitem__", lambda weights, name: seen.add(name) or read(weights, name))
    place = Reference("llavamed15").place
    models.load(place / "checkpoint", vision=place / "hub_clip")
    assert "vision_model.post_layernorm.bias" in seen
    assert not any(name.startswith("model.vision_tower.") for name in seen)


def test_the_head_may_be_narrower_than_the_embeddings_and_have_a_bias():
    config = planned().config
    plain = building.shapes_of(config, LlavaForConditionalGeneration)
    config.head_rows, config.head_bias = 500, True
    shapes = building.shapes_of(config, building.PublishedLlava)
    assert shapes["lm_head.weight"] == (500, 64)
    assert shapes["lm_head.bias"] == (500,)
    assert plain["lm_head.weight"] == (512, 64)
    assert shapes.keys() - plain.keys() == {"lm_head.bias"}


def test_what_transformers_leaves_out_is_an_error(monkeypatch):
    plan = planned()
    monkeypatch.setattr(building, "_check", lambda plan: None)
    for name in [name for name in plan.recipes if name.endswith("layers.0.mlp.down_proj.weight")]:
        del plan.recipes[name]
    with pytest.raises(UnsupportedModel, match=r"loaded the checkpoint in part.*down_proj"):
        building.build(plan, dtype=torch.float32)


@pytest.mark.parametrize(
    "change",
    [
        {"connector_type": "resampler"},
        {"vision_feature_select_strategy": "cls_patch"},
        {"text_config": {"model_type": "qwen2"}},
        {"text_config": {"model_type": "phi3", "hidden_size": "wide"}},
        {"text_config": None},
        {"text_config": {"model_type": "phi3", "num_attention_heads": 0}},
        {"vision_feature_layer": 5},
        {"vision_feature_layer": 0},
        {"vision_feature_layer": "last"},
        {"model_type": []},
        {"vision_config": {}},
        {"vision_config": {"patch_size": 0}},
    ],
)
def test_a_config_that_no_published_checkpoint_has_is_refused(tmp_path, change):
    with pytest.raises(UnsupportedModel):
        models.load(rewritten(PHI, tmp_path, **change))


@pytest.mark.skipif(find_spec("accelerate") is None, reason="accelerate is missing")
@pytest.mark.parametrize("name", ["sigphi_phi35", "llavamed15"])
def test_a_checkpoint_spread_over_all_devices_computes_the_same(name):
    place, ids = Reference(name).place / "checkpoint", torch.tensor([[1, 5, 9, 3]])
    one, other = (models.load(place, device=device).model for device in ("auto", "cpu"))
    with torch.no_grad():
        assert torch.equal(one(input_ids=ids).logits, other(input_ids=ids).logits)


@pytest.mark.skipif(find_spec("accelerate") is None, reason="accelerate is missing")
def test_a_model_for_which_there_is_no_room_is_refused_with_a_smaller_one():
    parts = ("vision_tower", "multi_modal_projector", "language_model")
    places = {**{f"model.{part}": "cpu" for part in parts}, "lm_head": "disk"}
    with pytest.raises(UnsupportedModel, match=r'larger than the memory.*"int4"'):
        building.build(planned(), dtype=torch.float32, device_map=places)
