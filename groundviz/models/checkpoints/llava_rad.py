"""LLaVA-Rad.

::

    base        the language model and its tokenizer, which the user gives
    folder      adapter_model.bin               LoRA, merged into the base
                non_lora_trainables.bin         the projector
                biomedclipcxr_518.json          how large the tower's images are
                *_checkpoint.pt                 a training file, of which the tower is read and no more

Source: Zambrano Chaves et al., LLaVA-Rad (2025), https://doi.org/10.1038/s41467-025-58344-x.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import LlamaConfig

from groundviz.errors import UnsupportedModel
from groundviz.models.checkpoints import evaluation_images
from groundviz.models.checkpoints.building import dinov2
from groundviz.models.checkpoints.building.build import PublishedLlava
from groundviz.models.checkpoints.building.language import language_config, without_tables
from groundviz.models.checkpoints.building.layout import LAYOUTS, Checkpoint, Plan, Recipe, renamed
from groundviz.models.checkpoints.building.lora import WRAPPED, merged
from groundviz.models.checkpoints.building.native import (
    COMPUTED,
    LANGUAGE_NAMES,
    PROJECTOR_NAMES,
    expect,
    native_config,
    seen_in,
    with_room,
)
from groundviz.models.checkpoints.published import VICUNA, PublishedProcessor, read_tokenizer, speaking
from groundviz.models.checkpoints.reading.folders import within
from groundviz.models.checkpoints.reading.weights import Weights

ADAPTER = "adapter_model.bin"
TRAINED = "non_lora_trainables.bin"
# The path that the config gives leads into the authors' code.
TOWER_CONFIG = "biomedclipcxr_518.json"
NO_BASE = (
    "The checkpoint has no language model of its own: it is an adapter of Vicuna-7B v1.5. Give that "
    'as a hub id or as a local folder: load(..., base="lmsys/vicuna-7b-v1.5").'
)


class LlavaRad:
    """The layout of LLaVA-Rad."""

    says = "LLaVA-Rad: a DINOv2-type tower at 518 pixels, two projector layers, Vicuna-7B v1.5 with LoRA."
    checkpoints = ("microsoft/llava-rad",)
    files = (ADAPTER, TRAINED, "*_checkpoint.pt")
    takes = ("base",)

    def matches(self, config: Mapping[str, Any]) -> bool:
        """True for LLaVA's old configs that name a file of a vision tower."""
        return config.get("model_type") == "llava" and "mm_vision_tower_checkpoint" in config

    def plan(self, checkpoint: Checkpoint) -> Plan:
        """Merge the adapter into the base, and take projector and tower from their own files."""
        config = checkpoint.config
        expect(config, "mm_projector_type", ("mlp2x_gelu",))
        expect(config, "mm_vision_select_feature", ("patch",))
        expect(config, "mm_use_im_start_end", (False,))
        vicuna = checkpoint.given_base(NO_BASE)
        tokenizer = read_tokenizer(vicuna)
        base, adapter = Weights.at(vicuna), Weights.at(checkpoint.folder / ADAPTER)
        projector, trained = Weights.at(checkpoint.folder / TRAINED), _tower_weights(checkpoint)
        tower = dinov2.tower_config(
            trained, _read(checkpoint.folder / TOWER_CONFIG)["vision_cfg"]["image_size"]
        )
        native = native_config(
            language_config(LlamaConfig, config),
            tower,
            tokenizer.convert_tokens_to_ids("<image>"),
            layer=config.get("mm_vision_select_layer", -2),
        )
        recipes = {
            **_in_the_model(merged(base, adapter, _read(checkpoint.folder / "adapter_config.json"))),
            **renamed(projector, {WRAPPED + old: new for old, new in PROJECTOR_NAMES.items()}),
            **dinov2.tower_recipes(trained, tower),
        }
        return Plan(
            config=native,
            recipes=with_room(recipes, native),
            accounts=((base, COMPUTED), (adapter, ()), (projector, ()), (trained, dinov2.IGNORED)),
            architecture=PublishedLlava,
            processor=PublishedProcessor.of(
                native, tokenizer, evaluation_images.cropped_as_open_clip, VICUNA
            ),
            generation=speaking(tokenizer, at_most=256),
            notes={
                "image": seen_in("cropped to its middle, margins rounded to even", native),
                "tower": "DINOv2, the checkpoint's own",
                "merged": "LoRA into the language model from base=..., in float32",
                "decoding": "greedy, as in the paper's evaluation",
            },
        )


def _tower_weights(checkpoint: Checkpoint) -> Weights:
    file = within(checkpoint.folder, checkpoint.config["mm_vision_tower_checkpoint"], "config")
    return Weights.at(file, inside="state_dict")


def _in_the_model(recipes: Mapping[str, Recipe]) -> dict[str, Recipe]:
    return {
        new + name.removeprefix(old): recipe
        for name, recipe in without_tables(recipes).items()
        for old, new in LANGUAGE_NAMES.items()
        if name.startswith(old)
    }


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        raise UnsupportedModel(
            "A settings file of the checkpoint is missing or damaged: expected adapter_config.json and "
            f"{TOWER_CONFIG} beside its weights. Download the checkpoint again."
        ) from None


LAYOUTS.add("llava_rad", LlavaRad())
