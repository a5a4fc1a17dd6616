"""A language model's own config and tensors, taken from a checkpoint that holds more than those."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from transformers import PreTrainedConfig

from groundviz.models.checkpoints.building.layout import Recipe

Config = TypeVar("Config", bound=PreTrainedConfig)

# Read by every language model's config, and kept there under another name.
ROTARY = {"rope_theta", "rope_scaling", "partial_rotary_factor"}
# Wrong in some of these checkpoints: what ends an answer is for the tokenizer to say.
SPECIAL = {"bos_token_id", "eos_token_id", "pad_token_id"}
ABOUT_THE_FILE = {"model_type", "architectures", "transformers_version", "torch_dtype", "dtype"}


def language_config(
    kind: type[Config], config: Mapping[str, Any], names: Mapping[str, str] | None = None
) -> Config:
    """The settings in `config` that a language model has, and no others.

    Args:
        kind: The language model's config class.
        config: A checkpoint's config.json in which its settings stand among those of tower and projector.
        names: What the class calls settings that go by another name there.

    >>> from transformers import LlamaConfig
    >>> language_config(LlamaConfig, {"hidden_size": 64, "mm_hidden_size": 48}).hidden_size
    64
    """
    known = ({*kind().to_dict()} | ROTARY) - SPECIAL - ABOUT_THE_FILE
    called = {(names or {}).get(key, key): value for key, value in config.items()}
    own: dict[str, Any] = {
        key: value for key, value in called.items() if key in known and not (key in ROTARY and value is None)
    }
    return kind(**own | dict.fromkeys(SPECIAL))


def without_tables(recipes: Mapping[str, Recipe]) -> dict[str, Recipe]:
    """Recipes without those for rotary frequencies and position numbers, which a model computes itself."""
    return {
        name: recipe for name, recipe in recipes.items() if not name.endswith((".inv_freq", ".position_ids"))
    }
