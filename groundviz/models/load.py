"""From whatever a user holds, a live model, a folder, a hub id, "demo", to a VLM."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from transformers import AutoModelForImageTextToText, AutoProcessor, PreTrainedModel

from groundviz.errors import UnsupportedModel
from groundviz.models.vlm import FAMILIES, VLM

Source = str | os.PathLike[str] | PreTrainedModel | VLM


def load(source: Source, *, processor: Any = None, revision: str | None = None) -> VLM:
    """Load a vision-language model so that it can be explained.

    Weights are read from safetensors alone and no code from a checkpoint is ever run.

    Args:
        source: "demo" for the model that ships with groundviz, a local folder, or a hub id.
        processor: Its processor, when it does not lie beside the weights.
        revision: Hub revision to load.

    Raises:
        UnsupportedModel: Nothing loadable is there, or its architecture has no adapter.

    >>> load("demo").model.config.model_type
    'llava'
    """
    if not isinstance(source, str | os.PathLike):
        return resolve(source, processor)
    name = os.fspath(source)
    if name == "demo":
        # Stored in float16 to be small; a CPU computes in float32.
        return _loaded(files("groundviz.demo") / "weights", name, processor, {"dtype": "float32"})
    local = Path(name).is_dir()
    options = {"revision": revision} if revision else {}
    vlm = _loaded(name, "local folder" if local else name, processor, options)
    return replace(vlm, revision=revision)


def resolve(model: Source, processor: Any = None) -> VLM:
    """Make a VLM of a live model, or load one.

    Args:
        model: A transformers model, a VLM, or anything `load` takes.
        processor: The model's processor; found beside its weights when not given.

    Raises:
        UnsupportedModel: The architecture has no adapter, or no processor was found.
    """
    if isinstance(model, VLM):
        return model
    if isinstance(model, str | os.PathLike):
        return load(model, processor=processor)
    model = _as_written(model)
    config = getattr(model, "config", None)
    family = _family(config, type(model).__name__)
    origin = str(getattr(config, "_name_or_path", "") or "")
    processor = processor if processor is not None else _processor_of(origin)
    if not all(hasattr(processor, part) for part in ("tokenizer", "image_processor", "image_token")):
        raise UnsupportedModel(
            f"{type(processor).__name__} is not a processor of images and text: it lacks a tokenizer, an "
            "image processor or an image token. Pass what AutoProcessor loads for this checkpoint."
        )
    return VLM(model, processor, family, _public_name(origin, type(model).__name__))


def _loaded(place: Any, name: str, processor: Any, options: dict[str, str]) -> VLM:
    try:
        if processor is None:
            processor = _processor_at(place, options.get("revision"))
        model = AutoModelForImageTextToText.from_pretrained(
            place, trust_remote_code=False, use_safetensors=True, **{"dtype": "auto", **options}
        )
    except (OSError, ValueError, KeyError) as error:
        raise UnsupportedModel(
            f"No model could be loaded from {name!r}: {_first_line(error, place)} "
            "Give a folder or hub id with config.json, safetensors weights and processor files."
        ) from None
    return VLM(model.eval(), processor, _family(model.config, type(model).__name__), name)


def _processor_at(place: Any, revision: str | None) -> Any:
    return AutoProcessor.from_pretrained(place, trust_remote_code=False, revision=revision or "main")


def _family(config: Any, architecture: str) -> str:
    for name in FAMILIES:
        if FAMILIES[name].matches(config):
            return name
    known = ", ".join(FAMILIES)
    raise UnsupportedModel(
        f"{architecture} has no adapter: its model type is {getattr(config, 'model_type', None)!r}, and the "
        f"families are: {known}. Add a file like groundviz/models/llava.py for it."
    )


def _processor_of(origin: str) -> Any:
    if origin:
        try:
            return _processor_at(origin, None)
        except (OSError, ValueError):
            pass
    raise UnsupportedModel(
        "The model's processor was not found beside its weights. Pass it: explain(..., processor=processor)."
    )


def _as_written(model: Any) -> Any:
    """The model inside the wrappers of torch.compile and of adapters that live inside its layers."""
    model = getattr(model, "_orig_mod", model)
    if not hasattr(model, "get_base_model"):
        return model
    if model.active_peft_config.is_prompt_learning:
        raise UnsupportedModel(
            f"{type(model).__name__} cannot be explained: it puts learned tokens before the prompt, which "
            "shifts every position. Merge them into the model, or explain the model without them."
        )
    return _as_written(model.get_base_model())


def _public_name(origin: str, architecture: str) -> str:
    """A hub id is public; a folder's path may name a person."""
    if not origin:
        return architecture
    if Path(origin) == Path(str(files("groundviz.demo") / "weights")):
        return "demo"
    return architecture if Path(origin).exists() or Path(origin).is_absolute() else origin


def _first_line(error: Exception, place: Any) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    shown = lines[0].replace(str(place), "the folder") if Path(str(place)).is_dir() else lines[0]
    return shown[:200]
