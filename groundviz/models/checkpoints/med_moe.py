"""Med-MoE.

::

    checkpoint                                               model
    model.image_tower.image_tower.vision_model.*             model.vision_tower.*
    model.mm_projector.image_spatial_proj.{0,2}.*            model.multi_modal_projector.linear_{1,2}.*
    model.*                                                  model.language_model.*
        .mlp.deepspeed_moe.gate.wg.*                             .mlp.gate.*
        .mlp.deepspeed_moe.experts.deepspeed_experts.e.*         .mlp.experts.branches.e.*
        .mlp.meta_moe.*                                          .mlp.shared.*
    lm_head.*                                                lm_head.*

`routing.routing` reads which experts each token visits.

Source: Jiang et al., Med-MoE (2024), https://arxiv.org/abs/2404.10237.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import PhiConfig, PreTrainedConfig, StableLmConfig

from groundviz.errors import UnsupportedModel
from groundviz.models.checkpoints import evaluation_images
from groundviz.models.checkpoints.building.build import PublishedLlava
from groundviz.models.checkpoints.building.clip import choose_tower
from groundviz.models.checkpoints.building.language import language_config, without_tables
from groundviz.models.checkpoints.building.layout import LAYOUTS, Checkpoint, Plan, Recipe, renamed
from groundviz.models.checkpoints.building.mixture import Mixture
from groundviz.models.checkpoints.building.native import (
    COMPUTED,
    LANGUAGE,
    LANGUAGE_NAMES,
    PROJECTOR,
    expect,
    native_config,
    seen_in,
    with_room,
)
from groundviz.models.checkpoints.published import IMAGE, VICUNA, PublishedProcessor, read_tokenizer, speaking
from groundviz.models.checkpoints.reading.weights import Weights

TOWER = "model.image_tower.image_tower.vision_model."
NAMES = {
    "model.mm_projector.image_spatial_proj.0.": f"{PROJECTOR}linear_1.",
    "model.mm_projector.image_spatial_proj.2.": f"{PROJECTOR}linear_2.",
    **LANGUAGE_NAMES,
    "model.final_layernorm.": f"{LANGUAGE}final_layernorm.",
}
MIXTURE_NAMES = {
    ".mlp.deepspeed_moe.gate.wg.": ".mlp.gate.",
    ".mlp.deepspeed_moe.experts.deepspeed_experts.": ".mlp.experts.branches.",
    ".mlp.meta_moe.": ".mlp.shared.",
}
# By model type: the language model's config, and what it calls the checkpoint's settings.
DECODERS: Mapping[str, tuple[type[PreTrainedConfig], Mapping[str, str]]] = {
    "moe_llava_phi": (PhiConfig, {}),
    "moe_llava_stablelm": (
        StableLmConfig,
        {"rope_pct": "partial_rotary_factor", "norm_eps": "layer_norm_eps"},
    ),
}


class MedMoeLlava(PublishedLlava):
    """LLaVA with a mixture of experts in the decoder layers that `config.mixtures` names.

    `config.mixtures` gives, for the layer of each number as text, how many experts it has;
    `config.experts_per_token` how many of them a token visits.
    """

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        for number, experts in config.mixtures.items():
            layer = self.model.language_model.layers[int(number)]
            layer.mlp = Mixture(
                layer.mlp,
                width=config.text_config.hidden_size,
                experts=experts,
                top=config.experts_per_token,
                layer=int(number),
            )


class MedMoe:
    """The layout of Med-MoE, with Phi-2 and with StableLM-2.

    StableLM-2's first tokenizer is code, which is never run. Where the checkpoint holds no other, give
    a `PublishedProcessor` with one in transformers' own format.
    """

    # Each is a folder within one hub repository: to be downloaded, and loaded from there.
    says = "Med-MoE: CLIP, a two-layer projector, and Phi-2 or StableLM-2 with experts in every second layer."
    checkpoints = (
        "JsST/Med-MoE/stage3/llavaphi-2.7b-medmoe",
        "JsST/Med-MoE/stage3/llavastablelm-1.6b-medmoe",
    )
    files = ("*.safetensors",)
    takes = ("vision",)

    def matches(self, config: Mapping[str, Any]) -> bool:
        """True for the model types of Med-MoE."""
        return config.get("model_type") in DECODERS

    def plan(self, checkpoint: Checkpoint) -> Plan:
        """Rename every tensor; put mixtures where the config says there are some."""
        config = checkpoint.config
        expect(config, "image_projector_type", ("mlp2x_gelu",))
        expect(config, "mm_vision_select_feature", ("patch",))
        expect(config, "mm_use_im_start_end", (False,))
        weights = Weights.at(checkpoint.folder)
        tower = choose_tower(weights, TOWER, checkpoint.vision, config.get("mm_image_tower"))
        kind, names = DECODERS[config["model_type"]]
        text = language_config(kind, config, names)
        tokenizer = _tokenizer(checkpoint)
        native = native_config(
            text,
            tower.config,
            tokenizer.convert_tokens_to_ids(IMAGE),
            layer=config.get("mm_vision_select_layer", -2),
            head_bias="lm_head.bias" in weights,
            **_mixtures(config["moe"], text.num_hidden_layers),
        )
        recipes = {**_language(weights), **tower.recipes}
        return Plan(
            config=native,
            recipes=with_room(recipes, native),
            accounts=((weights, (*COMPUTED, *tower.unused)), *tower.accounts),
            architecture=MedMoeLlava,
            # The evaluation takes the middle of the image, whatever the config says.
            processor=PublishedProcessor.of(native, tokenizer, evaluation_images.cropped, VICUNA),
            generation=speaking(tokenizer, at_most=2048),
            notes={
                "image": seen_in("cropped to its middle, as in the paper's evaluation", native),
                "tower": tower.note,
                "experts": "no noise is added to the routing; the paper's evaluation drew some each time",
                "decoding": "greedy, as in the paper's evaluation",
            },
        )


def _tokenizer(checkpoint: Checkpoint) -> Any:
    if checkpoint.processor is not None:
        return checkpoint.processor.tokenizer
    return read_tokenizer(checkpoint.folder)


def _language(weights: Weights) -> dict[str, Recipe]:
    return {_mixed(name): recipe for name, recipe in without_tables(renamed(weights, NAMES)).items()}


def _mixed(name: str) -> str:
    for old, new in MIXTURE_NAMES.items():
        name = name.replace(old, new)
    return name


def _mixtures(moe: Mapping[str, Any], depth: int) -> dict[str, Any]:
    """Entries of the config that `MedMoeLlava` reads, for a decoder with so many layers."""
    expect(moe, "use_residual", (False,))
    expect(moe, "top_k_experts", (2, 1))
    layers, counts, top = moe["moe_layers_idx"], moe["num_experts"], moe["top_k_experts"]
    # One number stands for all layers.
    counts = counts * len(layers) if len(counts) == 1 else counts
    if len(counts) != len(layers) or not all(layer in range(depth) for layer in layers):
        raise UnsupportedModel(
            f"The checkpoint's config contradicts itself: it counts the experts of {len(counts)} layers, and "
            f"says that layers {', '.join(map(str, layers))} of {depth} have some. Give the checkpoint as it "
            "was published."
        )
    if min(counts, default=top) < top:
        raise UnsupportedModel(
            f"The checkpoint's config contradicts itself: tokens visit {top} experts of {min(counts)}. Give "
            "the checkpoint as it was published."
        )
    mixtures = {str(layer): count for layer, count in zip(layers, counts, strict=True)}
    return {"mixtures": mixtures, "experts_per_token": top}


LAYOUTS.add("med_moe", MedMoe())
