"""What has been measured of a model, kept as long as the model is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from torch import Tensor, nn

from groundviz.models.adapter.vlm import VLM
from groundviz.models.measured.layout import Block
from groundviz.models.measured.wiring import Wiring
from groundviz.runtime.inputs.encoded import Cells
from groundviz.runtime.inputs.sites import Parts
from groundviz.runtime.passes.forward import is_per_token

# How many shapes of images are kept of each model.
MOST_KEPT = 16

K = TypeVar("K")
V = TypeVar("V")
Shapes = tuple[tuple[int, int], ...]


@dataclass(slots=True, eq=False)
class Known:
    """What has been measured of a model with one processor.

    Attributes:
        setting: The family, and the state of the processor.
        parts: The modules that methods read.
        placed: Whether its image tokens have places.
        ramps: By the shapes of the source images: the names of the image inputs, and how pixels lie in them.
        wirings: By the shapes of the inputs: what feeds what.
        cells: By the shapes of the source images: the wiring, and the cells put together with it.
        taken: The shapes of source images that a model without places has been seen to take.
    """

    setting: str
    parts: Parts | None = None
    placed: bool = True
    ramps: dict[Shapes, tuple[tuple[str, ...], list[Block]]] = field(default_factory=dict)
    wirings: dict[str, Wiring] = field(default_factory=dict)
    cells: dict[Shapes, tuple[Wiring, dict[str, Cells]]] = field(default_factory=dict)
    taken: dict[Shapes, bool] = field(default_factory=dict)


# An entry goes with its model.
KNOWN: WeakKeyDictionary[nn.Module, Known] = WeakKeyDictionary()


def setting_of(vlm: VLM) -> str:
    """What tells whether images are still prepared as they were."""
    settings = {
        name: value
        for name, value in vars(vlm.processor).items()
        if "tokenizer" not in name and "template" not in name
    }
    return f"{vlm.family_name} {id(vlm.processor)} {settings!r}"


def keep(kept: dict[K, V], key: K, value: V) -> None:
    """Keep one more entry, and let go of the oldest where there are many: images may have any shape."""
    while len(kept) >= MOST_KEPT:
        del kept[next(iter(kept))]
    kept[key] = value


def key_of(inputs: Mapping[str, Tensor], names: Sequence[str]) -> str:
    """What the wiring of the image depends on: shapes, and the values of what counts or masks its parts."""
    parts = []
    for name, tensor in sorted(inputs.items()):
        if isinstance(tensor, list):
            parts.append(f"{name} {tensor}")
        elif name in names or tensor.is_floating_point():
            parts.append(f"{name} {tuple(tensor.shape)}")
        elif not is_per_token(tensor, inputs):
            values = sha256(np.ascontiguousarray(tensor.cpu().numpy()).tobytes()).hexdigest()
            parts.append(f"{name} {tuple(tensor.shape)} {values}")
    return "; ".join(parts)
