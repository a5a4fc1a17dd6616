"""SigPhi-Med, in the layout of TinyLLaVA-Factory.

Its scripts train Phi-3.5-mini although the model is often called Phi-2's; both are read, whichever the
config describes. Phi-2's output head has a bias, which LLaVA's has not. The tower has no class token,
and the evaluation drops the first place all the same: the patch in the upper left corner is unseen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import Phi3Config, PhiConfig, SiglipVisionConfig

from groundviz.models.checkpoints import evaluation_images
from groundviz.models.checkpoints.building.build import PublishedLlava
from groundviz.models.checkpoints.building.language import without_tables
from groundviz.models.checkpoints.building.layout import LAYOUTS, Checkpoint, Plan, renamed
from groundviz.models.checkpoints.building.native import (
    COMPUTED,
    LANGUAGE,
    PROJECTOR,
    expect,
    native_config,
    seen_in,
    with_room,
)
from groundviz.models.checkpoints.published import IMAGE, VICUNA, PublishedProcessor, read_tokenizer, speaking
from groundviz.models.checkpoints.reading.weights import Weights

TOWER = "vision_tower._vision_tower.vision_model."
HEAD = "language_model.lm_head."
NAMES = {
    TOWER: "model.vision_tower.",
    "connector._connector.0.": f"{PROJECTOR}linear_1.",
    "connector._connector.2.": f"{PROJECTOR}linear_2.",
    "language_model.model.": LANGUAGE,
    HEAD: "lm_head.",
}
LANGUAGES: dict[str, Any] = {"phi3": Phi3Config, "phi": PhiConfig}


class TinyLlava:
    """The layout of SigPhi-Med."""

    says = (
        "SigPhi-Med, in the layout of TinyLLaVA-Factory: SigLIP, two projector layers, Phi-3.5-mini or Phi-2."
    )
    checkpoints = ("nykxo99/SigPhi-Med",)
    files = ("*.safetensors", "tokenizer*", "merges.txt")
    takes: tuple[str, ...] = ()

    def matches(self, config: Mapping[str, Any]) -> bool:
        """True for model type "tinyllava"."""
        return config.get("model_type") == "tinyllava"

    def plan(self, checkpoint: Checkpoint) -> Plan:
        """Rename every tensor; nothing is computed."""
        config = checkpoint.config
        expect(config, "connector_type", ("mlp2x_gelu",))
        expect(config, "vision_feature_select_strategy", ("patch",))
        expect(config["text_config"], "model_type", tuple(LANGUAGES))
        tokenizer = read_tokenizer(checkpoint.folder)
        weights = Weights.at(checkpoint.folder)
        native = _native(config, weights, tokenizer.convert_tokens_to_ids(IMAGE))
        return Plan(
            config=native,
            recipes=with_room(without_tables(renamed(weights, NAMES)), native),
            accounts=((weights, COMPUTED),),
            architecture=PublishedLlava,
            processor=PublishedProcessor.of(native, tokenizer, evaluation_images.squashed, VICUNA),
            generation=speaking(tokenizer, at_most=1024),
            notes={
                "image": seen_in("squashed to a square", native),
                "tower": "SigLIP, the checkpoint's own; its first patch is dropped, as it was in the paper",
                "decoding": "greedy; the paper's evaluation sampled at temperature 0.4",
            },
        )


def _native(config: Mapping[str, Any], weights: Weights, image_id: int) -> Any:
    """The native config; what shows in the tensors alone is read from their names."""
    vision = SiglipVisionConfig.from_dict(_own(config["vision_config"]))
    vision.vision_use_head = any(name.startswith(f"{TOWER}head.") for name in weights)
    return native_config(
        LANGUAGES[config["text_config"]["model_type"]].from_dict(_own(config["text_config"])),
        vision,
        image_id,
        layer=config.get("vision_feature_layer", -2),
        class_token=False,
        head_bias=f"{HEAD}bias" in weights,
    )


def _own(described: Mapping[str, Any]) -> dict[str, Any]:
    """A part's config without the paths of the machine it was trained on."""
    return {key: value for key, value in described.items() if "_or_path" not in key}


LAYOUTS.add("tinyllava", TinyLlava())
