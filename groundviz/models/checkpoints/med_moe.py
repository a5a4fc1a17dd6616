"""Med-MoE: CLIP, a two-layer projector, and Phi-2 or StableLM-2 with experts in every second layer.

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

from transformers import LlavaConfig, PhiConfig, PretrainedConfig, StableLmConfig

from groundviz.errors import UnsupportedModel
from groundviz.models.checkpoints.build import PublishedLlava
from groundviz.models.checkpoints.clip import hub_tower, own_tower
from groundviz.models.checkpoints.layout import Checkpoint, Plan, Recipe, renamed
from groundviz.models.checkpoints.mixture import Mixture
from groundviz.models.checkpoints.weights import Weights

TOWER = "model.image_tower.image_tower.vision_model."
TABLE = {
    "model.mm_projector.image_spatial_proj.0.": "model.multi_modal_projector.linear_1.",
    "model.mm_projector.image_spatial_proj.2.": "model.multi_modal_projector.linear_2.",
    "model.layers.": "model.language_model.layers.",
    "model.embed_tokens.": "model.language_model.embed_tokens.",
    "model.norm.": "model.language_model.norm.",
    "model.final_layernorm.": "model.language_model.final_layernorm.",
    "lm_head.": "lm_head.",
}
MIXTURE = {
    ".mlp.deepspeed_moe.gate.wg.": ".mlp.gate.",
    ".mlp.deepspeed_moe.experts.deepspeed_experts.": ".mlp.experts.branches.",
    ".mlp.meta_moe.": ".mlp.shared.",
}
# By model type: the language model's config, and what it calls the checkpoint's settings.
DECODERS: Mapping[str, tuple[type[PretrainedConfig], Mapping[str, str]]] = {
    "moe_llava_phi": (PhiConfig, {}),
    "moe_llava_stablelm": (StableLmConfig, {"rope_pct": "partial_rotary_factor", "norm_eps": "layer_norm_eps"}),
}
ROTARY = ("rope_theta", "rope_scaling", "partial_rotary_factor")


class MedMoeLlava(PublishedLlava):
    """LLaVA with a mixture of experts in the decoder layers that `config.mixtures` names.

    `config.mixtures` gives, for the layer of each number as text, how many experts it has;
    `config.experts_per_token` how many of them a token visits.
    """

    def __init__(self, config: LlavaConfig) -> None:
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
    """The layout of JsST/Med-MoE, in both its sizes."""

    checkpoints = ("JsST/Med-MoE",)
    files = ("*.safetensors", "*.safetensors.index.json", "*token*", "vocab.json", "merges.txt")

    def matches(self, config: Mapping[str, Any]) -> bool:
        """True for the model types of Med-MoE."""
        return config.get("model_type") in DECODERS

    def plan(self, checkpoint: Checkpoint) -> Plan:
        """The checkpoint's own tower, unless another is given."""
        weights = Weights.at(checkpoint.folder)
        tower = own_tower(weights, TOWER)
        if checkpoint.vision is not None:
            tower = hub_tower(checkpoint.vision, checkpoint.config.get("mm_image_tower"))
        decoder = _decoder(checkpoint.config)
        config = LlavaConfig(
            vision_config=tower.config,
            text_config=decoder,
            image_token_index=decoder.vocab_size - 1,
            vision_feature_layer=checkpoint.config["mm_vision_select_layer"],
            head_bias="lm_head.bias" in weights,
            **_mixtures(checkpoint.config["moe"]),
        )
        return Plan(
            config=config,
            recipes={**_language(weights), **tower.recipes},
            accounts=((weights, (f"{TOWER}.*",)), *tower.accounts),
            architecture=MedMoeLlava,
        )


def _language(weights: Weights) -> dict[str, Recipe]:
    return {_mixed(name): recipe for name, recipe in renamed(weights, TABLE).items()}


def _mixed(name: str) -> str:
    for old, new in MIXTURE.items():
        name = name.replace(old, new)
    return name


def _decoder(config: Mapping[str, Any]) -> PretrainedConfig:
    """The language model's config, from one that has its settings among others."""
    kind, names = DECODERS[config["model_type"]]
    known = {*kind().to_dict(), *ROTARY}
    settings = {names.get(key, key): value for key, value in config.items()}
    return kind(
        **{
            key: value
            for key, value in settings.items()
            if key in known - {"model_type", "architectures", "transformers_version"} and value is not None
        }
    )


def _mixtures(moe: Mapping[str, Any]) -> dict[str, Any]:
    layers, counts, top = moe["moe_layers_idx"], moe["num_experts"], moe["top_k_experts"]
    # One number stands for all layers.
    counts = counts * len(layers) if len(counts) == 1 else counts
    if moe.get("use_residual") or top not in (1, 2) or len(counts) != len(layers):
        raise UnsupportedModel(
            f"The checkpoint's mixture of experts is none that Med-MoE published: {top} experts per token, "
            f"{len(counts)} counts of experts for {len(layers)} layers, and "
            f"{'a' if moe.get('use_residual') else 'no'} residual branch; expected 1 or 2 experts per token, "
            "one count for each layer and no residual branch. Give a checkpoint as it was published."
        )
    return {
        "mixtures": {str(layer): count for layer, count in zip(layers, counts, strict=True)},
        "experts_per_token": top,
    }
