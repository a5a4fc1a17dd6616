"""The pixels of a prompt's image: read from its tensors, and replaced there."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from groundviz.record.types import SourceImage


class ImageInput(Protocol):
    """The pixels that a model sees, as cells (batch, pixel, colour)."""

    def cells(self) -> Tensor:
        """The image, (1, pixel, colour)."""

    def replaced(self, cells: Tensor) -> dict[str, Tensor]:
        """The inputs of a batch of prompts that show these images."""


@dataclass(frozen=True, slots=True, eq=False)
class InTensor:
    """Pixels whose positions in the image inputs are known: gradients flow from the model to them.

    Attributes:
        values: The prompt's image inputs, by name.
        index: int (copy, pixel, colour), positions in the flattened inputs, one after another.
    """

    values: Mapping[str, Tensor]
    index: Tensor

    def cells(self) -> Tensor:
        """The image, (1, pixel, colour)."""
        return self._flat()[self.index[0]][None]

    def replaced(self, cells: Tensor) -> dict[str, Tensor]:
        """The inputs of a batch of prompts that show these images."""
        batch = len(cells)
        flat = self._flat()[None].expand(batch, -1)
        new_values = cells.flatten(1).to(flat)
        for copy in self.index:
            flat = flat.index_copy(1, copy.flatten(), new_values)
        sizes = [one.numel() for one in self.values.values()]
        found = {}
        for (name, one), part in zip(self.values.items(), flat.split(sizes, dim=1), strict=True):
            # The prompts of a batch lie one after another along the first axis.
            first, *rest = one.shape
            found[name] = part.reshape(batch * first, *rest)
        return found

    def _flat(self) -> Tensor:
        return torch.cat([one.reshape(-1) for one in self.values.values()])


@dataclass(frozen=True, slots=True, eq=False)
class ThroughProcessor:
    """Pixels of the source images themselves, which the model's processor reads anew each time.

    No gradient flows through a processor.

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
        prompts = [self.process(pixels) for pixels in cells]
        return {name: torch.cat([inputs[name] for inputs in prompts]) for name in prompts[0]}


def unflattened(cells: Tensor, source_images: Sequence[SourceImage]) -> list[SourceImage]:
    """Source images with other pixels.

    Args:
        cells: The pixels (pixel, colour) of all images, one image after another.
        source_images: The images whose pixels are replaced.
    """
    pixels = cells.detach().float().clamp(0, 1).cpu()
    counts = [math.prod(source_image.shape) for source_image in source_images]
    changed = []
    for source_image, part in zip(source_images, pixels.split(counts), strict=True):
        in_rows = part.reshape(*source_image.shape, 3).numpy()
        changed.append(replace(source_image, pixels=np.asarray(in_rows, dtype=np.float32)))
    return changed


def flattened(source_images: Sequence[SourceImage]) -> Tensor:
    """The pixels of source images in three colours, (1, pixel, colour), one image after another."""
    parts = []
    for source_image in source_images:
        rows, cols = source_image.shape
        channels = source_image.pixels.reshape(rows, cols, -1)
        # A grey image has one channel, which stands for all three colours.
        colours = np.broadcast_to(channels, (rows, cols, 3))
        parts.append(colours.reshape(-1, 3))
    return torch.from_numpy(np.concatenate(parts))[None]
