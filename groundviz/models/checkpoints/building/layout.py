"""What a published checkpoint must be told to become a transformers model, and the strict way there.

A layout reads a checkpoint's config and writes a plan: the native config, and for every tensor of
the model the tensors it is made of. `build.build` follows a plan to the letter. Each tensor of the
checkpoint is used, or named by the plan as one to leave, or an error; and none of the model's is
without its recipe. Tensors are read one by one into the place where they stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import LlavaForConditionalGeneration

from groundviz.errors import UnsupportedModel
from groundviz.models.checkpoints.reading.weights import Weights
from groundviz.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Folders that a model is put together from.

    Attributes:
        config: The checkpoint's config.json.
        folder: Where the checkpoint lies.
        base: Where the language model or the weights beneath a delta lie, if the user gave it.
        vision: Where the vision tower lies, if the user gave it.
        processor: What the user gave in place of the layout's own.
    """

    config: Mapping[str, Any]
    folder: Path
    base: Path | None = None
    vision: Path | None = None
    processor: Any = None

    def given_base(self, otherwise: str) -> Path:
        """Where the base lies.

        Args:
            otherwise: Why it is needed, and what to give.

        Raises:
            UnsupportedModel: The user gave none; the message is `otherwise`.
        """
        if self.base is None:
            raise UnsupportedModel(otherwise)
        return self.base


def as_stored(tensor: Tensor) -> Tensor:
    """The tensor itself."""
    return tensor


def with_zero_row(tensor: Tensor) -> Tensor:
    """An embedding with one more row, of zeros: the place of an image among its tokens."""
    return torch.cat([tensor, tensor.new_zeros(1, *tensor.shape[1:])])


@dataclass(frozen=True, slots=True, eq=False)
class Recipe:
    """How one tensor of the model is made of tensors of a checkpoint.

    Attributes:
        sources: Which tensors, each as the weights that hold it and its name there.
        make: From these tensors to the model's. It also runs on meta tensors, to tell the shape.
    """

    sources: tuple[tuple[Weights, str], ...]
    make: Callable[..., Tensor] = as_stored

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what is made; nothing is read."""
        empty = (torch.empty(weights.shape(name), device="meta") for weights, name in self.sources)
        return tuple(self.make(*empty).shape)

    def tensor(self) -> Tensor:
        """What is made, in the dtype it is stored in."""
        return self.make(*(weights[name] for weights, name in self.sources))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """Everything that `build` must know, and the processor that goes with what it builds.

    Attributes:
        config: Of the native model, a `LlavaConfig`.
        recipes: By name of the model's tensor.
        accounts: All weights there are, each with patterns (of the whole name) of the tensors in it
            that the model has no use for.
        architecture: The model's class.
        processor: What makes the model's inputs as the paper's evaluation made them.
        generation: Settings of the model's generation config.
        notes: What was loaded from where, in plain words, by what it is about: "tower", "merged" ...
    """

    config: Any
    recipes: Mapping[str, Recipe]
    accounts: tuple[tuple[Weights, tuple[str, ...]], ...]
    architecture: type[LlavaForConditionalGeneration]
    processor: Any
    generation: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)


class Layout(Protocol):
    """One way in which somebody published checkpoints."""

    @property
    def says(self) -> str:
        """What models in this layout are made of, in a sentence."""

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """Hub ids of checkpoints in this layout."""

    @property
    def files(self) -> tuple[str, ...]:
        """Patterns of the files that are downloaded."""

    @property
    def takes(self) -> tuple[str, ...]:
        """Which other folders it needs or has a use for: "base", "vision"."""

    def matches(self, config: Mapping[str, Any]) -> bool:
        """Whether a config.json is of this layout."""

    def plan(self, checkpoint: Checkpoint) -> Plan:
        """How the model is put together.

        Raises:
            UnsupportedModel: `base` or `vision` is needed and missing, or the config asks for
                something that no published checkpoint of this layout has.
        """


LAYOUTS: Registry[Layout] = Registry("checkpoint layout", "groundviz.layouts")


def renamed(weights: Weights, table: Mapping[str, str]) -> dict[str, Recipe]:
    """A recipe for each tensor whose name begins as the table says: that beginning is exchanged."""
    return {
        new + name.removeprefix(old): Recipe(((weights, name),))
        for name in weights
        for old, new in table.items()
        if name.startswith(old)
    }
