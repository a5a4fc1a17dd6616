"""A vision tower that open_clip trained on timm's DINOv2, in the names of transformers."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from transformers import Dinov2Config, Dinov2Model

from groundviz.errors import UnsupportedModel
from groundviz.models.checkpoints.building.clip import TOWER
from groundviz.models.checkpoints.building.layout import Recipe, renamed
from groundviz.models.checkpoints.reading.weights import Weights

TRUNK = "module.visual.trunk."
# The text tower, and what both towers were trained to meet in.
IGNORED = (r"module\.text\..*", r"module\.visual\.head\..*", r"module\.logit_(scale|bias)")
NAMES = {
    "cls_token": "embeddings.cls_token",
    "pos_embed": "embeddings.position_embeddings",
    "patch_embed.proj.": "embeddings.patch_embeddings.projection.",
    "blocks.": "encoder.layer.",
    "norm.": "layernorm.",
}
SCALES = {".ls1.gamma": ".layer_scale1.lambda1", ".ls2.gamma": ".layer_scale2.lambda1"}
QKV, OUTPUT = ".attn.qkv.", ".attn.proj."
# Query, key, value and output of a layer's attention, in newer versions of transformers and in older.
ATTENTION = tuple(f".attention.{part}_proj." for part in "qkvo")
FORMERLY = (
    *(f".attention.attention.{part}." for part in ("query", "key", "value")),
    ".attention.output.dense.",
)


def tower_config(weights: Weights, side: int) -> Dinov2Config:
    """The tower's native config, its sizes read from its tensors.

    Args:
        weights: Of the whole training file.
        side: Of the images, in pixels; it need not be a whole number of patches.

    Raises:
        UnsupportedModel: The file holds no such tower.
    """
    blocks = sum(name.startswith(TRUNK) and name.endswith(f"{QKV}weight") for name in weights)
    needed = [f"{TRUNK}patch_embed.proj.weight", f"{TRUNK}blocks.0.mlp.fc1.weight"]
    if not blocks or not weights.keys() >= set(needed):
        raise UnsupportedModel(
            "The vision tower's file holds no tower: no tensors of a vision transformer under "
            f"{TRUNK!r}. Give the checkpoint as it was published."
        )
    patches, widened = map(weights.shape, needed)
    return Dinov2Config(
        hidden_size=patches[0],
        num_hidden_layers=blocks,
        # Timm's vision transformers have heads of 64, whatever their size.
        num_attention_heads=patches[0] // 64,
        mlp_ratio=widened[0] // patches[0],
        patch_size=patches[-1],
        image_size=side,
        hidden_act="gelu",
        layer_norm_eps=1e-6,
        use_mask_token=False,
    )


def tower_recipes(weights: Weights, config: Dinov2Config) -> dict[str, Recipe]:
    """A recipe for every tensor of the tower; queries, keys and values are stored as one."""
    *qkv, output = _attention_names(config)
    table = {TRUNK + old: TOWER + new for old, new in NAMES.items()}
    recipes: dict[str, Recipe] = {}
    for name, recipe in renamed(weights, table).items():
        if QKV in name:
            recipes |= {
                name.replace(QKV, part): Recipe(recipe.sources, partial(third, which=number))
                for number, part in enumerate(qkv)
            }
        else:
            recipes[_native(name, {**SCALES, OUTPUT: output})] = recipe
    return recipes


def third(tensor: Tensor, which: int) -> Tensor:
    """One of three equal blocks of rows.

    >>> third(torch.arange(6), which=1)
    tensor([2, 3])
    """
    return tensor.chunk(3)[which]


def _native(name: str, table: dict[str, str]) -> str:
    for old, new in table.items():
        name = name.replace(old, new)
    return name


def _attention_names(config: Dinov2Config) -> tuple[str, ...]:
    """What this version of transformers calls the parts of a layer's attention."""
    with torch.device("meta"):
        names = Dinov2Model(config).state_dict()
    return ATTENTION if any(ATTENTION[0] in name for name in names) else FORMERLY
