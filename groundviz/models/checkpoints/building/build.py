"""A plan followed to the letter: every tensor in its place, none missing, none left over."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, LlavaForConditionalGeneration

from groundviz.errors import UnsupportedModel
from groundviz.models.checkpoints.building.layout import Plan, Recipe
from groundviz.models.loading.quantization import packing


class PublishedLlava(LlavaForConditionalGeneration):
    """LLaVA whose output head is as wide as the original's, with a bias where that has one.

    `config.head_rows` is the head's number of rows when it differs from the number of embeddings:
    a placeholder for images is nothing that a model can say. `config.head_bias` adds the bias.
    """

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        text = config.text_config
        rows, bias = getattr(config, "head_rows", text.vocab_size), getattr(config, "head_bias", False)
        self.lm_head = nn.Linear(text.hidden_size, rows, bias=bias)


def shapes_of(config: Any, architecture: type[LlavaForConditionalGeneration]) -> dict[str, Any]:
    """Name and shape of every tensor that a model of this config is stored as."""
    model = _empty(config, architecture)
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def build(plan: Plan, *, dtype: torch.dtype, device_map: Any = None, bits: int | None = None) -> Any:
    """The model of a plan, in evaluation mode.

    Memory holds the model, the next few tensors, and memory-mapped files that the system may drop at any
    time. Weights that are to be quantised are packed one by one as they are read.

    Args:
        plan: What to build.
        dtype: Of the weights, or of those that are not packed.
        device_map: As for transformers.
        bits: Of a weight in the decoder's layers, 8 or 4; `dtype` when None.

    Raises:
        UnsupportedModel: A tensor is missing, left over or of the wrong shape, or there is no room.
    """
    _check(plan)
    packed = packing(bits, _empty(plan.config, plan.architecture), dtype) if bits else None
    tensors = {name: _Pending(recipe, dtype) for name, recipe in plan.recipes.items()}
    model, found = _read(plan, tensors, dtype=dtype, device_map=device_map, quantization_config=packed)
    if any(found.values()):
        raise UnsupportedModel(
            f"transformers loaded the checkpoint in part: {_some(map(str, filter(None, found.values())))}. "
            "Use a version of transformers that groundviz was tested with."
        )
    model.generation_config = GenerationConfig(**plan.generation)
    return model


def _read(plan: Plan, tensors: dict[str, Any], **options: Any) -> tuple[Any, dict[str, Any]]:
    reader: Any = plan.architecture
    try:
        model, found = reader.from_pretrained(
            None, config=plan.config, state_dict=tensors, output_loading_info=True, **options
        )
    except ValueError as error:
        if "offload_folder" not in str(error):
            raise
        raise UnsupportedModel(
            "The model is larger than the memory of all devices together, and one of a published layout "
            'cannot stay on disk, where its tensors are others. Load it with dtype="int8" or "int4", or on '
            "a larger machine."
        ) from None
    return model, found


def _empty(config: Any, architecture: type[LlavaForConditionalGeneration]) -> Any:
    with torch.device("meta"):
        return architecture(config)


class _Pending:
    """A tensor still to be made, which transformers asks for when it has a place for it."""

    def __init__(self, recipe: Recipe, dtype: torch.dtype) -> None:
        self._recipe, self._dtype = recipe, dtype

    def __getitem__(self, index: Any) -> Tensor:
        # A copy, or the model would live in a file that may change beneath it.
        return self._recipe.tensor()[index].to(self._dtype, copy=True)


def _check(plan: Plan) -> None:
    _check_counts(plan)
    wanted = shapes_of(plan.config, plan.architecture)
    sources = {(id(weights), name): weights for one in plan.recipes.values() for weights, name in one.sources}
    left = [
        name
        for weights, ignored in plan.accounts
        for name in weights
        if (id(weights), name) not in sources and not any(re.fullmatch(pattern, name) for pattern in ignored)
    ]
    missing = sorted(wanted.keys() - plan.recipes.keys())
    left += sorted(plan.recipes.keys() - wanted.keys())
    shapes = {name: plan.recipes[name].shape for name in wanted.keys() & plan.recipes.keys()}
    wrong = [
        f"{name} {shapes[name]} for {wanted[name]}" for name in sorted(shapes) if shapes[name] != wanted[name]
    ]
    strange = sorted(name for (_, name), weights in sources.items() if not weights.is_plain(name))
    faults = {
        "without a place in the model": left,
        "missing": missing,
        "of another shape": wrong,
        "of other numbers than float64, float32, float16 and bfloat16": strange,
    }
    if any(faults.values()):
        counted = "; ".join(f"{len(names)} {kind}: {_some(names)}" for kind, names in faults.items() if names)
        raise UnsupportedModel(
            f"The checkpoint does not fit its config, of its tensors are {counted}. Give the checkpoint as "
            "it was published."
        )


def _check_counts(plan: Plan) -> None:
    """Stop a config that asks for more layers than there are tensors, before these are made."""
    config, tensors = plan.config, len(plan.recipes)
    depths = (part.num_hidden_layers for part in (config.text_config, config.vision_config))
    most = max(*depths, *getattr(config, "mixtures", {}).values())
    if most > tensors:
        raise UnsupportedModel(
            f"The checkpoint does not fit its config, which asks for {most} layers or experts: it has "
            f"{tensors} tensors of the model. Give the checkpoint as it was published."
        )


def _some(names: Iterable[str]) -> str:
    # Names come from a stranger's file.
    names = ["".join(letter if letter.isprintable() else "?" for letter in name[:200]) for name in names]
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
