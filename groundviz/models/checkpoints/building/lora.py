"""Low-rank adapters, merged into the weights that they adapt."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor

from groundviz.errors import UnsupportedModel
from groundviz.models.checkpoints.building.layout import Recipe
from groundviz.models.checkpoints.building.native import expect
from groundviz.models.checkpoints.reading.weights import Weights

# What peft puts before the name of every weight it adapts.
WRAPPED = "base_model.model."


def merge_low_rank(weight: Tensor, down: Tensor, up: Tensor, *, scale: float) -> Tensor:
    """The weight W + scale · B A in float32, to be rounded once to whatever it is stored in.

    Args:
        weight: W, (out, in).
        down: A, (rank, in).
        up: B, (out, rank).
        scale: Alpha divided by the rank.

    >>> import torch
    >>> merge_low_rank(torch.eye(2), torch.ones(1, 2), torch.ones(2, 1), scale=2.0)
    tensor([[3., 2.],
            [2., 3.]])
    """
    return weight.float() + scale * (up.float() @ down.float())


def merged(base: Weights, adapter: Weights, config: Mapping[str, Any]) -> dict[str, Recipe]:
    """A recipe for every tensor of `base`, under its name there; the adapter's are merged into it.

    Args:
        base: The weights that were adapted.
        adapter: LoRA's pairs of matrices, as peft names them.
        config: The adapter's adapter_config.json.

    Raises:
        UnsupportedModel: It is another kind of adapter, or its matrices do not fit the base.
    """
    _check(config)
    targets = tuple(f".{module}.weight" for module in config["target_modules"])
    merge = partial(merge_low_rank, scale=config["lora_alpha"] / config["r"])
    recipes = {name: Recipe(((base, name),)) for name in base}
    for name in base:
        if name.endswith(targets):
            down, up = _pair(base, adapter, name, config["r"])
            recipes[name] = Recipe(((base, name), (adapter, down), (adapter, up)), merge)
    return recipes


def _check(config: Mapping[str, Any]) -> None:
    expect(config, "peft_type", ("LORA",))
    expect(config, "bias", ("none",))
    # Others change the weights beneath the adapter, too.
    expect(config, "init_lora_weights", (True, False, "gaussian"))
    for key in ("fan_in_fan_out", "use_rslora", "use_dora"):
        expect(config, key, (False,))
    for key in ("modules_to_save", "layers_to_transform", "rank_pattern", "alpha_pattern"):
        expect(config, key, (None, {}, []))


def _pair(base: Weights, adapter: Weights, name: str, rank: int) -> tuple[str, str]:
    """Names of the two matrices that adapt a weight."""
    stem = WRAPPED + name.removesuffix("weight")
    down, up = f"{stem}lora_A.weight", f"{stem}lora_B.weight"
    out, into = base.shape(name)
    for matrix, shape in ((down, (rank, into)), (up, (out, rank))):
        found = adapter.shape(matrix) if matrix in adapter else None
        if found != shape:
            raise UnsupportedModel(
                f"The adapter does not fit the language model: its {matrix} is {found or 'missing'}, and "
                f"{shape} was expected. Give the adapter as it was published, and the base it was trained on."
            )
    return down, up
