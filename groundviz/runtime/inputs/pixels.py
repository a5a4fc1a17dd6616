"""The image among a prompt's tensors: read pixel by pixel, and replaced."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from groundviz.record.types import SourceImage
from groundviz.runtime.inputs.encoded import PIXELS


class ImageInput(Protocol):
    """The pixels that a model sees, as cells (batch, pixel, colour)."""

    def cells(self) -> Tensor:
        """The image, (1, pixel, colour)."""

    def replaced(self, cells: Tensor) -> dict[str, Tensor]:
        """The inputs of a batch of prompts that show these images."""


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
        """The image, (1, pixel, colour)."""
        return self.values.reshape(-1)[self.index[0]][None]

    def replaced(self, cells: Tensor) -> dict[str, Tensor]:
        """The inputs of a batch of prompts that show these images."""
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
        """The image, (1, pixel, colour)."""
        return self.source

    def replaced(self, cells: Tensor) -> dict[str, Tensor]:
        """The inputs of a batch of prompts that show these images."""
        made = [self.process(one) for one in cells]
        return {name: torch.cat([one[name] for one in made]) for name in made[0]}


def unflattened(cells: Tensor, source_images: Sequence[SourceImage]) -> list[SourceImage]:
    """Studies with other pixels, given as (pixel, colour), all studies one after another."""
    parts = (
        cells.detach()
        .float()
        .clamp(0, 1)
        .cpu()
        .split([math.prod(source_image.shape) for source_image in source_images])
    )
    return [
        replace(
            source_image, pixels=np.asarray(part.reshape(*source_image.shape, 3).numpy(), dtype=np.float32)
        )
        for source_image, part in zip(source_images, parts, strict=True)
    ]


def flattened(source_images: Sequence[SourceImage]) -> Tensor:
    """The pixels of studies in three colours, (1, pixel, colour)."""
    colours = [
        np.broadcast_to(
            source_image.pixels.reshape(*source_image.shape, -1), (*source_image.shape, 3)
        ).reshape(-1, 3)
        for source_image in source_images
    ]
    return torch.from_numpy(np.concatenate(colours))[None]
