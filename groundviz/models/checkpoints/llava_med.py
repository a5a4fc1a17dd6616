"""LLaVA-Med v1.5.

The published file holds a vision tower, which the original loader silently passes over for OpenAI's.
Both are models that numbers were reported with: the file's own is loaded unless `vision` is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import MistralConfig

from groundviz.models.checkpoints import evaluation_images
from groundviz.models.checkpoints.building.build import PublishedLlava
from groundviz.models.checkpoints.building.clip import choose_tower
from groundviz.models.checkpoints.building.language import language_config, without_tables
from groundviz.models.checkpoints.building.layout import LAYOUTS, Checkpoint, Plan, renamed
from groundviz.models.checkpoints.building.native import (
    COMPUTED,
    LANGUAGE_NAMES,
    PROJECTOR_NAMES,
    expect,
    native_config,
    seen_in,
    with_room,
)
from groundviz.models.checkpoints.published import IMAGE, PublishedProcessor, read_tokenizer, speaking
from groundviz.models.checkpoints.reading.weights import Weights

TOWER = "model.vision_tower.vision_tower.vision_model."
PROMPT = "[INST] {images}\n{question} [/INST]"


class LlavaMed:
    """The layout of LLaVA-Med v1.5."""

    says = "LLaVA-Med v1.5: CLIP-L at 336 pixels, two projector layers, Mistral-7B-Instruct v0.2."
    checkpoints = ("microsoft/llava-med-v1.5-mistral-7b",)
    files = ("*.safetensors", "tokenizer*")
    takes = ("vision",)

    def matches(self, config: Mapping[str, Any]) -> bool:
        """True for model type "llava_mistral"."""
        return config.get("model_type") == "llava_mistral"

    def plan(self, checkpoint: Checkpoint) -> Plan:
        """Rename every tensor, take the tower that was asked for, add a row for the image."""
        config = checkpoint.config
        expect(config, "mm_projector_type", ("mlp2x_gelu",))
        expect(config, "mm_vision_select_feature", ("patch",))
        expect(config, "mm_use_im_start_end", (False,))
        tokenizer = read_tokenizer(checkpoint.folder)
        weights = Weights.at(checkpoint.folder)
        tower = choose_tower(weights, TOWER, checkpoint.vision, config.get("mm_vision_tower"))
        text = language_config(MistralConfig, config)
        # Its class would give an absent window a size.
        text.sliding_window = config.get("sliding_window")
        image_id = tokenizer.convert_tokens_to_ids(IMAGE)
        native = native_config(text, tower.config, image_id, layer=config.get("mm_vision_select_layer", -2))
        recipes = without_tables(renamed(weights, LANGUAGE_NAMES | PROJECTOR_NAMES)) | dict(tower.recipes)
        return Plan(
            config=native,
            recipes=with_room(recipes, native),
            accounts=((weights, (*COMPUTED, *tower.unused)), *tower.accounts),
            architecture=PublishedLlava,
            processor=PublishedProcessor.of(native, tokenizer, evaluation_images.padded, PROMPT),
            generation=speaking(tokenizer, at_most=1024),
            notes={
                "image": seen_in("padded to a square with the mean colour", native),
                "tower": f"{tower.note}; the paper's evaluation took OpenAI's",
                "decoding": "greedy, as in the paper's evaluation",
            },
        )


LAYOUTS.add("llava_med", LlavaMed())
