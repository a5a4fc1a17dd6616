"""The model in what a user gives: as it is, or inside wrappers and pipelines."""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers import Pipeline

from groundviz.errors import UnsupportedModel

ACCEPTED = 'a transformers model, "demo", a local folder, a hub id, or what groundviz.load returned'


def unpacked(given: Any, processor: Any) -> tuple[Any, Any]:
    """The model as its author wrote it, and its processor where it came with one.

    Wrappers are those of torch.compile and of adapters that live inside a model's layers. A pipeline of
    transformers is its model and its processor.

    Args:
        given: What was given as a model.
        processor: What was given as its processor.

    Raises:
        UnsupportedModel: It is no model.
    """
    if isinstance(given, Pipeline):
        return _as_written(given.model), given.processor if processor is None else processor
    model = _as_written(given) if isinstance(given, nn.Module) else given
    if isinstance(model, nn.Module):
        return model, processor
    raise UnsupportedModel(f"No model was given, but {_described(given)}. Give {ACCEPTED}.")


def _described(given: Any) -> str:
    """What something is, in a few words; nothing of what it holds."""
    if given is None:
        return "None"
    if isinstance(given, type):
        return f"the class {given.__name__}, and not an object of it"
    name = type(given).__name__
    if hasattr(given, "image_processor") or hasattr(given, "convert_tokens_to_ids"):
        kind = "processor" if hasattr(given, "image_processor") else "tokenizer"
        return f"the {kind} {name}, which goes to processor=..."
    return f"an object of type {name}"


def _as_written(model: Any) -> Any:
    model = getattr(model, "_orig_mod", model)
    if not hasattr(model, "get_base_model"):
        return model
    if model.active_peft_config.is_prompt_learning:
        raise UnsupportedModel(
            f"{type(model).__name__} cannot be explained: it puts learned tokens before the prompt, which "
            "shifts every position. Merge them into the model, or explain the model without them."
        )
    return _as_written(model.get_base_model())
