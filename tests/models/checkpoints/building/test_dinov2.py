import pytest
import torch
from transformers import Dinov2Model

from groundviz.errors import UnsupportedModel
from groundviz.models.checkpoints.building.dinov2 import TRUNK, tower_config, tower_recipes
from groundviz.models.checkpoints.reading.weights import Weights

WIDTH, BLOCKS, PATCH = 64, 2, 4
BLOCK = {
    **{f"norm{k}.{part}": (WIDTH,) for k in (1, 2) for part in ("weight", "bias")},
    **{f"ls{k}.gamma": (WIDTH,) for k in (1, 2)},
    "attn.qkv.weight": (3 * WIDTH, WIDTH),
    "attn.qkv.bias": (3 * WIDTH,),
    "attn.proj.weight": (WIDTH, WIDTH),
    "attn.proj.bias": (WIDTH,),
    "mlp.fc1.weight": (4 * WIDTH, WIDTH),
    "mlp.fc1.bias": (4 * WIDTH,),
    "mlp.fc2.weight": (WIDTH, 4 * WIDTH),
    "mlp.fc2.bias": (WIDTH,),
}
SHAPES = {
    "cls_token": (1, 1, WIDTH),
    "pos_embed": (1, 10, WIDTH),
    "patch_embed.proj.weight": (WIDTH, 3, PATCH, PATCH),
    "patch_embed.proj.bias": (WIDTH,),
    "norm.weight": (WIDTH,),
    "norm.bias": (WIDTH,),
    **{f"blocks.{k}.{name}": shape for k in range(BLOCKS) for name, shape in BLOCK.items()},
}


def stored(folder, shapes):
    torch.manual_seed(0)
    torch.save({TRUNK + name: torch.randn(shape) for name, shape in shapes.items()}, folder / "tower.pt")
    return Weights.at(folder / "tower.pt")


def test_every_tensor_of_the_native_tower_is_made(tmp_path):
    weights = stored(tmp_path, SHAPES)
    config = tower_config(weights, 13)
    native = Dinov2Model(config).state_dict()
    recipes = tower_recipes(weights, config)
    made = {name.removeprefix("model.vision_tower."): one.shape for name, one in recipes.items()}
    assert made == {name: tuple(tensor.shape) for name, tensor in native.items()}


def test_queries_keys_and_values_are_three_blocks_of_rows(tmp_path):
    weights = stored(tmp_path, SHAPES)
    recipes = tower_recipes(weights, tower_config(weights, 12))
    source = f"{TRUNK}blocks.1.attn.qkv.weight"
    thirds = {name: one.tensor() for name, one in recipes.items() if one.sources[0][1] == source}
    assert [name.split(".")[-2][0] for name in thirds] == ["q", "k", "v"]
    assert torch.equal(torch.cat([*thirds.values()]), weights[source])


def test_sizes_are_those_of_the_tensors(tmp_path):
    config = tower_config(stored(tmp_path, SHAPES), 13)
    assert (config.hidden_size, config.num_hidden_layers, config.num_attention_heads) == (WIDTH, BLOCKS, 1)
    assert (config.patch_size, config.image_size, config.mlp_ratio) == (PATCH, 13, 4)


@pytest.mark.parametrize("lost", ["patch_embed.proj.weight", "blocks.0.mlp.fc1.weight", "blocks."])
def test_another_kind_of_tower_is_refused(tmp_path, lost):
    weights = stored(tmp_path, {name: shape for name, shape in SHAPES.items() if not name.startswith(lost)})
    with pytest.raises(UnsupportedModel, match="holds no tower"):
        tower_config(weights, 12)
