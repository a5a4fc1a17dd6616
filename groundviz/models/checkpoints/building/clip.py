"""The CLIP tower of the LLaVA line: from the hub, or from a checkpoint that brought its own."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from transformers import CLIPVisionConfig

from groundviz.errors import UnsupportedModel
from groundviz.models.checkpoints.building.language import without_tables
from groundviz.models.checkpoints.building.layout import Recipe, renamed
from groundviz.models.checkpoints.reading.weights import Weights
from groundviz.models.loading.naming import quoted, shown_name

TOWER = "model.vision_tower."
# What a CLIP file holds beside the tower's weights.
IGNORED = (
    r"text_model\..*",
    r"visual_projection\.weight",
    r"text_projection\.weight",
    r"logit_scale",
    r".*embeddings\.position_ids",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tower:
    """A vision tower to be put into a plan.

    Attributes:
        config: Its native config.
        recipes: Its tensors, under the names they have in the model.
        accounts: For the plan's accounts; empty where the tower's tensors lie in the checkpoint.
        unused: Patterns of the checkpoint's own tower, where another takes its place.
        note: Where it came from, in plain words.
    """

    config: CLIPVisionConfig
    recipes: Mapping[str, Recipe]
    note: str
    accounts: tuple[tuple[Weights, tuple[str, ...]], ...] = ()
    unused: tuple[str, ...] = ()


def choose_tower(weights: Weights, prefix: str, vision: Path | None, wanted: object) -> Tower:
    """The tower that the user gave, or else the checkpoint's own.

    Args:
        weights: The checkpoint's.
        prefix: Of the names of its own tower's tensors, if it has one.
        vision: Folder of the tower that the user gave.
        wanted: As for `hub_tower`.

    Raises:
        UnsupportedModel: There is neither, or what was given is no CLIP.
    """
    if vision is None and any(name.startswith(prefix) for name in weights):
        return own_tower(weights, prefix)
    return replace(hub_tower(vision, wanted), unused=(re.escape(prefix) + ".*",))


def hub_tower(folder: Path | None, wanted: object) -> Tower:
    """The tower in a folder that the user gave as `vision`.

    Args:
        folder: With a config and weights of CLIP, or of its vision part alone.
        wanted: What the checkpoint's config says its tower is, for the message.

    Raises:
        UnsupportedModel: No folder was given, or it holds no CLIP.
    """
    if folder is None:
        raise UnsupportedModel(
            "The checkpoint has no vision tower of its own: it was trained with "
            f"{quoted(shown_name(str(wanted)))}. "
            "Give that as a hub id or as a local folder: load(..., vision=...)."
        )
    weights = Weights.at(folder)
    recipes = without_tables(renamed(weights, {"vision_model.": TOWER}))
    if not recipes:
        raise UnsupportedModel("The vision tower given is no CLIP: it has no vision_model. Give a CLIP.")
    # A config of both parts of CLIP holds the vision part's.
    config = CLIPVisionConfig.from_pretrained(folder)
    return Tower(config=config, recipes=recipes, note="CLIP, from vision=...", accounts=((weights, IGNORED),))


def own_tower(weights: Weights, prefix: str) -> Tower:
    """The tower whose tensors lie in a checkpoint under `prefix`, its sizes read from these.

    Their number of heads shows in no tensor: in every CLIP that LLaVA is built on, a head is 64 wide.
    """
    recipes = without_tables(renamed(weights, {prefix: TOWER}))
    patches = weights.shape(f"{prefix}embeddings.patch_embedding.weight")
    places = weights.shape(f"{prefix}embeddings.position_embedding.weight")[0]
    config = CLIPVisionConfig(
        hidden_size=patches[0],
        intermediate_size=weights.shape(f"{prefix}encoder.layers.0.mlp.fc1.weight")[0],
        num_hidden_layers=sum(name.endswith(".mlp.fc1.weight") for name in recipes),
        # One too narrow for a head of 64 is somebody's test model; such have four.
        num_attention_heads=patches[0] // 64 or 4,
        patch_size=patches[-1],
        image_size=patches[-1] * math.isqrt(places - 1),
        hidden_act="quick_gelu",
        layer_norm_eps=1e-5,
    )
    return Tower(config=config, recipes=recipes, note="CLIP, the checkpoint's own")
