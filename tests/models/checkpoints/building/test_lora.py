import pytest
import torch

from groundviz.errors import UnsupportedModel
from groundviz.models.checkpoints.building.lora import merge_low_rank, merged
from groundviz.models.checkpoints.reading.weights import Weights

CONFIG = {"peft_type": "LORA", "r": 2, "lora_alpha": 3, "target_modules": ["q_proj"], "bias": "none"}
STEM = "base_model.model.layer.q_proj.lora_"


def weights(folder, name, tensors):
    torch.save(tensors, folder / f"{name}.bin")
    return Weights.at(folder / f"{name}.bin")


@pytest.fixture
def base(tmp_path):
    return weights(
        tmp_path, "base", {"layer.q_proj.weight": torch.ones(4, 3), "layer.norm.weight": torch.ones(4)}
    )


@pytest.fixture
def adapter(tmp_path):
    pair = {f"{STEM}A.weight": torch.ones(2, 3), f"{STEM}B.weight": torch.ones(4, 2)}
    return weights(tmp_path, "adapter", pair)


def test_only_targets_change(base, adapter):
    recipes = merged(base, adapter, CONFIG)
    # 1 + 3 / 2 of a sum over a rank of two.
    assert torch.equal(recipes["layer.q_proj.weight"].tensor(), torch.full((4, 3), 4.0))
    assert torch.equal(recipes["layer.norm.weight"].tensor(), torch.ones(4))


def test_the_shape_is_known_before_anything_is_read(base, adapter):
    assert merged(base, adapter, CONFIG)["layer.q_proj.weight"].shape == (4, 3)


def test_half_precision_is_added_up_in_single():
    weight, down, up = (torch.full(shape, 0.1, dtype=torch.float16) for shape in ((1, 1), (64, 1), (1, 64)))
    whole = merge_low_rank(weight, down, up, scale=2.0)
    exact = weight.double() + 2.0 * (up.double() @ down.double())
    assert whole.dtype == torch.float32
    assert torch.allclose(whole.double(), exact, rtol=1e-6)
    assert torch.equal(whole.half(), exact.half())


@pytest.mark.parametrize(
    "entries",
    [
        {"peft_type": "IA3"},
        {"bias": "all"},
        {"fan_in_fan_out": True},
        {"use_rslora": True},
        {"modules_to_save": ["lm_head"]},
        {"rank_pattern": {"q_proj": 8}},
        {"init_lora_weights": "pissa"},
    ],
)
def test_what_would_be_merged_otherwise_is_refused(base, adapter, entries):
    ((key, value),) = entries.items()
    with pytest.raises(UnsupportedModel, match=f"asks for {key}="):
        merged(base, adapter, CONFIG | {key: value})


def test_empty_settings_ask_for_nothing(base, adapter):
    unset = {"rank_pattern": {}, "alpha_pattern": {}, "modules_to_save": None, "layers_to_transform": None}
    assert merged(base, adapter, CONFIG | unset).keys() == {"layer.q_proj.weight", "layer.norm.weight"}
