"""The picture among a prompt's tensors: read pixel by pixel, and replaced."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from groundviz.record.types import Study
from groundviz.runtime.inputs.encoded import PIXELS


class Picture(Protocol):
    """The pixels that a model sees, as cells (batch, pixel, colour)."""

    def cells(self) -> Tensor:
        """The picture, (1, pixel, colour)."""

    def replaced(self, cells: Tensor) -> dict[str, Tensor]:
        """The inputs of a batch of prompts that show these pictures."""


@dataclass(frozen=True, slots=True, eq=False)
class InTensor:
    """Pixels whose places in `pixel_values` are known: a gradient passes from them to the model.

    Attributes:
        values: The prompt's `pixel_values`.
        index: int (copy, pixel, colour), places in the flattened values.
    """

    values: Tensor
    index: Tensor

    def cells(self) -> Tensor:
        """The picture, (1, pixel, colour)."""
        return self.values.reshape(-1)[self.index[0]][None]

    def replaced(self, cells: Tensor) -> dict[str, Tensor]:
        """The inputs of a batch of prompts that show these pictures."""
        batch, flat = len(cells), self.values.reshape(1, -1)
        flat, cells = flat.expand(batch, -1), cells.flatten(1).to(flat)
        for copy in self.index:
            flat = flat.index_copy(1, copy.flatten(), cells)
        first, *rest = self.values.shape
        return {PIXELS: flat.reshape(batch * first, *rest)}


@dataclass(frozen=True, slots=True, eq=False)
class ThroughProcessor:
    """Pixels of the source images themselves, which the model's processor reads anew each time.

    Attributes:
        source: The source images' pixels, (1, pixel, colour).
        process: Makes the inputs of one prompt from such pixels, (pixel, colour).
    """

    source: Tensor
    process: Callable[[Tensor], Mapping[str, Tensor]]

    def cells(self) -> Tensor:
        """The picture, (1, pixel, colour)."""
        return self.source

    def replaced(self, cells: Tensor) -> dict[str, Tensor]:
        """The inputs of a batch of prompts that show these pictures."""
        made = [self.process(one) for one in cells]
        return {name: torch.cat([one[name] for one in made]) for name in made[0]}


def unflattened(cells: Tensor, studies: Sequence[Study]) -> list[Study]:
    """Studies with other pixels, given as (pixel, colour), all studies one after another."""
    parts = cells.detach().float().clamp(0, 1).cpu().split([math.prod(study.shape) for study in studies])
    return [
        replace(study, pixels=np.asarray(part.reshape(*study.shape, 3).numpy(), dtype=np.float32))
        for study, part in zip(studies, parts, strict=True)
    ]


def flattened(studies: Sequence[Study]) -> Tensor:
    """The pixels of studies in three colours, (1, pixel, colour)."""
    colours = [
        np.broadcast_to(study.pixels.reshape(*study.shape, -1), (*study.shape, 3)).reshape(-1, 3)
        for study in studies
    ]
    return torch.from_numpy(np.concatenate(colours))[None]
