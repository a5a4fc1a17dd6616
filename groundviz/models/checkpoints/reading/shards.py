"""The files that tensors of a checkpoint lie in: safetensors, and what `torch.save` wrote.

Whatever a file holds, reading it runs nothing and takes little more memory than the file is large.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from groundviz.errors import UnsupportedModel
from groundviz.models.checkpoints.reading.archives import check_archive
from groundviz.models.checkpoints.reading.folders import AGAIN

# Bytes of a safetensors header: some 300,000 tensors.
LONGEST_HEADER = 32 << 20
# What weights are stored in, as safetensors and as torch call it.
FLOATS = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


class Shard(Protocol):
    """One file of a checkpoint."""

    names: tuple[str, ...]

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, without reading it."""

    def is_plain(self, name: str) -> bool:
        """Whether a tensor is made of floating-point numbers that all stand in the file."""

    def read(self, name: str) -> Tensor:
        """A tensor, whose numbers may stay in the file until they are used."""


class Safe:
    """A file of safetensors.

    Raises:
        UnsupportedModel: It is missing or damaged.
    """

    def __init__(self, file: Path) -> None:
        check_header(file)
        try:
            self._handle: Any = safe_open(file, framework="pt")
        except (SafetensorError, OSError) as error:
            raise UnsupportedModel(_damaged(file, error)) from None
        self.names = tuple(self._handle.keys())

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, without reading it."""
        return tuple(self._handle.get_slice(name).get_shape())

    def is_plain(self, name: str) -> bool:
        """Whether a tensor is made of floating-point numbers."""
        return self._handle.get_slice(name).get_dtype() in FLOATS

    def read(self, name: str) -> Tensor:
        """A tensor."""
        tensor: Tensor = self._handle.get_tensor(name)
        return tensor


def check_header(file: Path) -> None:
    """Stop a file of safetensors whose description is longer than that of any model.

    Raises:
        UnsupportedModel: It is.
    """
    try:
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
    except OSError:
        # Told in better words when it is read.
        return
    if LONGEST_HEADER < length < file.stat().st_size:
        raise UnsupportedModel(
            f"A weight file describes its tensors in {length} bytes, and at most {LONGEST_HEADER} are read. "
            f"{AGAIN}"
        )


class Pickled:
    """A file that `torch.save` wrote, of which only tensors are unpickled.

    Args:
        file: The file.
        inside: Entry that holds the tensors, where the file holds more than these.

    Raises:
        UnsupportedModel: It is missing or damaged, or holds more than data.
    """

    def __init__(self, file: Path, inside: str) -> None:
        held = _unpickled(file)
        held = held.get(inside) if inside and isinstance(held, Mapping) else held
        if not isinstance(held, Mapping) or not _are_named_tensors(held):
            raise UnsupportedModel(
                "A weight file holds something other than named tensors. Give a checkpoint as published."
            )
        self._tensors = dict(held)
        _check_sharing(file, self._tensors)
        self.names = tuple(self._tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, without reading it."""
        return tuple(self._tensors[name].shape)

    def is_plain(self, name: str) -> bool:
        """Whether a tensor is made of floating-point numbers that all stand in the file."""
        tensor = self._tensors[name]
        if tensor.dtype not in FLOATS.values() or tensor.layout != torch.strided or tensor.is_meta:
            return False
        # One number with strides of zero may pose as a million.
        return bool(tensor.nbytes <= tensor.untyped_storage().nbytes())

    def read(self, name: str) -> Tensor:
        """A tensor, whose numbers stay in the file until they are used."""
        tensor: Tensor = self._tensors[name]
        return tensor


def _check_sharing(file: Path, tensors: Mapping[str, Tensor]) -> None:
    """Stop a file whose tensors are the same numbers again and again: a model of them would be far larger.

    Tied weights stand in a file once, and have two names.
    """
    plain = (one for one in tensors.values() if one.layout == torch.strided and not one.is_meta)
    total = sum(min(one.nbytes, one.untyped_storage().nbytes()) for one in plain)
    if total > 2 * file.stat().st_size:
        raise UnsupportedModel(
            "A weight file's tensors take more than twice the room that it has: they are the same numbers "
            "again and again. Give the checkpoint as it was published."
        )


def _are_named_tensors(held: Mapping[Any, Any]) -> bool:
    return all(isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in held.items())


def _unpickled(file: Path) -> Any:
    """What `torch.save` wrote, its tensors still on disk."""
    if not zipfile.is_zipfile(file):
        raise UnsupportedModel(_damaged(file, None))
    try:
        check_archive(file)
        return torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except UnsupportedModel:
        raise
    except Exception as error:
        # Torch's refusal is an error of a module that no code here may import.
        if wanted := re.search(r"GLOBAL ([\w.]+)", str(error)):
            raise UnsupportedModel(
                f"A pickled weight file asks to run {wanted[1]}, and only tensors are unpickled. Ask its "
                "publisher for safetensors; or, if you trust it, load it yourself and save its tensors "
                "with safetensors.torch.save_file."
            ) from None
        raise UnsupportedModel(_damaged(file, error)) from None


def _damaged(file: Path, error: Exception | None) -> str:
    if not file.is_file():
        return f"A weight file of the checkpoint is missing. {AGAIN}"
    kind = f" ({type(error).__name__})" if error else ""
    return f"A weight file cannot be read{kind}: it is cut off, damaged, or older than torch 1.6. {AGAIN}"
