"""What the layouts share: LLaVA's native config, its language model's names, a place for the image."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any

from transformers import LlavaConfig

from groundviz.errors import UnsupportedModel
from groundviz.models.checkpoints.building.layout import Recipe, with_zero_row

LANGUAGE = "model.language_model."
PROJECTOR = "model.multi_modal_projector."
EMBEDDINGS = f"{LANGUAGE}embed_tokens.weight"
# Of a checkpoint that extends transformers' own language model, in the LLaVA line.
LANGUAGE_NAMES = {
    **{f"model.{part}": f"{LANGUAGE}{part}" for part in ("layers.", "embed_tokens.", "norm.")},
    "lm_head.": "lm_head.",
}
PROJECTOR_NAMES = {f"model.mm_projector.{k}.": f"{PROJECTOR}linear_{k // 2 + 1}." for k in (0, 2)}
# Tables that every version of transformers computes for itself.
COMPUTED = (r".*rotary_emb\.inv_freq", r".*embeddings\.position_ids")


def native_config(
    text: Any, vision: Any, image_id: int, *, layer: int = -2, class_token: bool = True, **more: Any
) -> LlavaConfig:
    """The config of a native LLaVA: two projector layers with exact GELU, the first place dropped.

    Args:
        text: Config of the language model; widened to hold `image_id` where its vocabulary is full.
        vision: Config of the vision tower.
        image_id: Token that stands for an image's patches.
        layer: Which of the tower's hidden states the projector reads.
        class_token: Whether the tower has a class token. One without loses its first patch instead.
        more: Further entries, such as `head_bias`.

    Raises:
        UnsupportedModel: The tower has no such layer.
    """
    depth = vision.num_hidden_layers
    if layer == 0 or layer not in range(-depth, depth + 1):
        raise UnsupportedModel(
            f"The checkpoint's config reads the vision tower at layer {reprlib.repr(layer)}, and it has "
            f"{depth} layers. Give the checkpoint as it was published."
        )
    rows = text.vocab_size
    text.vocab_size = max(rows, image_id + 1)
    settings: dict[str, Any] = dict(
        text_config=text,
        vision_config=vision,
        image_token_index=image_id,
        image_seq_length=(vision.image_size // vision.patch_size) ** 2 - (not class_token),
        vision_feature_layer=layer,
        vision_feature_select_strategy="default",
        projector_hidden_act="gelu",
        multimodal_projector_bias=True,
        tie_word_embeddings=False,
        head_rows=rows,
        **more,
    )
    return LlavaConfig(**settings)


def with_room(recipes: Mapping[str, Recipe], config: Any) -> dict[str, Recipe]:
    """Recipes in which the embeddings have a zero row for the image, where the vocabulary was full."""
    if config.head_rows == config.text_config.vocab_size or EMBEDDINGS not in recipes:
        return dict(recipes)
    return {**recipes, EMBEDDINGS: Recipe(recipes[EMBEDDINGS].sources, with_zero_row)}


def seen_in(how: str, config: Any) -> str:
    """What becomes of an image, for the notes: `how` it is made square, and how it is cut up."""
    side, patch = config.vision_config.image_size, config.vision_config.patch_size
    return f"{how}, {side} by {side} pixels in patches of {patch}, {config.image_seq_length} tokens"


def expect(config: Mapping[str, Any], key: str, known: tuple[Any, ...]) -> None:
    """Make sure that a config asks for nothing that this layout was not tested with.

    Raises:
        UnsupportedModel: It does.
    """
    if config.get(key, known[0]) not in known:
        raise UnsupportedModel(
            f"The checkpoint's config asks for {key}={reprlib.repr(config[key])}, and this layout is known "
            f"with {' or '.join(map(repr, known))}. It cannot be loaded."
        )
