"""The tensors of a checkpoint by name, each read when it is asked for and not before."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from groundviz.errors import UnsupportedModel

# Of each kind: its index, and its files where there is no index.
KINDS = (
    ("model.safetensors.index.json", "*.safetensors"),
    ("pytorch_model.bin.index.json", "pytorch_model*.bin"),
)
AGAIN = "Download the checkpoint again."


class _Shard(Protocol):
    """One file of a checkpoint."""

    names: tuple[str, ...]

    def shape(self, name: str) -> tuple[int, ...]: ...

    def read(self, name: str) -> Tensor: ...


class Weights(Mapping[str, Tensor]):
    """Every tensor of a checkpoint, memory-mapped: what is not asked for is never read.

    Files are safetensors, or what `torch.save` wrote; of the latter only tensors are unpickled.

    Attributes:
        format: "safetensors" or "pickle".

    >>> import tempfile, torch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     place = Path(folder) / "pytorch_model.bin"
    ...     torch.save({"norm.weight": torch.ones(3)}, place)
    ...     weights = Weights.at(folder)
    ...     list(weights), weights.shape("norm.weight"), weights["norm.weight"].tolist()
    (['norm.weight'], (3,), [1.0, 1.0, 1.0])
    """

    def __init__(self, shards: Iterable[_Shard], format: str) -> None:
        """Put shards together; each tensor lies in one of them."""
        self.format = format
        self._homes: dict[str, _Shard] = {}
        for shard in shards:
            if twice := sorted(self._homes.keys() & set(shard.names)):
                raise UnsupportedModel(
                    f"Two files of the checkpoint hold the tensor {twice[0]!r}; one should. {AGAIN}"
                )
            self._homes |= dict.fromkeys(shard.names, shard)

    @classmethod
    def at(cls, place: str | Path, *, inside: str = "") -> Weights:
        """The weights in a folder, sharded or not, or in one file.

        Args:
            place: A folder in transformers' layout, or a file of safetensors or of `torch.save`.
            inside: Entry of a pickled file that holds the tensors, where it holds more than these.

        Raises:
            UnsupportedModel: Nothing is there, a file is damaged, or a pickle holds more than data.
        """
        place = Path(place)
        files, indexed = _listed(place) if place.is_dir() else ([place], None)
        safe = bool(files) and files[0].suffix == ".safetensors"
        weights = cls(
            (_Safe(file) if safe else _Pickled(file, inside) for file in files),
            "safetensors" if safe else "pickle",
        )
        if indexed is not None and (lost := sorted(indexed - set(weights))):
            raise UnsupportedModel(
                f"The checkpoint's index names {len(lost)} tensors that its files do not hold, such as "
                f"{lost[0]!r}. {AGAIN}"
            )
        return weights

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, without reading it."""
        return self._homes[name].shape(name)

    def __getitem__(self, name: str) -> Tensor:
        return self._homes[name].read(name)

    def __contains__(self, name: object) -> bool:
        # Mapping's own would read the tensor to find out.
        return name in self._homes

    def __iter__(self) -> Iterator[str]:
        return iter(self._homes)

    def __len__(self) -> int:
        return len(self._homes)


def _listed(folder: Path) -> tuple[list[Path], set[str] | None]:
    """The weight files of a folder, and what its index, if any, says they hold."""
    for index, pattern in KINDS:
        if (folder / index).is_file():
            return _indexed(folder, index)
        if files := sorted(folder.glob(pattern)):
            return files, None
    raise UnsupportedModel(
        "The folder has no weights: found neither *.safetensors nor pytorch_model*.bin. Give the folder "
        "that holds the checkpoint's weights."
    )


def _indexed(folder: Path, index: str) -> tuple[list[Path], set[str]]:
    try:
        homes = json.loads((folder / index).read_text("utf-8"))["weight_map"]
        names = sorted(set(homes.values()))
        outside = [name for name in names if Path(name).name != name]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UnsupportedModel(f"The checkpoint's index of weights cannot be read. {AGAIN}") from None
    # An index comes from a stranger: it names files beside itself and no others.
    if outside:
        raise UnsupportedModel(f"The checkpoint's index names files outside its own folder. {AGAIN}")
    return [folder / name for name in names], set(homes)


class _Safe:
    def __init__(self, file: Path) -> None:
        try:
            self._handle: Any = safe_open(file, framework="pt")
        except (SafetensorError, OSError) as error:
            raise UnsupportedModel(_damaged(file, error)) from None
        self.names = tuple(self._handle.keys())

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._handle.get_slice(name).get_shape())

    def read(self, name: str) -> Tensor:
        tensor: Tensor = self._handle.get_tensor(name)
        return tensor


class _Pickled:
    def __init__(self, file: Path, inside: str) -> None:
        held = _unpickled(file)
        held = held.get(inside) if inside and isinstance(held, Mapping) else held
        if not isinstance(held, Mapping) or not all(isinstance(one, Tensor) for one in held.values()):
            raise UnsupportedModel(
                "A weight file holds something other than named tensors. Give a checkpoint as published."
            )
        self._tensors = dict(held)
        self.names = tuple(self._tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._tensors[name].shape)

    def read(self, name: str) -> Tensor:
        tensor: Tensor = self._tensors[name]
        return tensor


def _unpickled(file: Path) -> Any:
    """What `torch.save` wrote, its tensors still on disk."""
    if not zipfile.is_zipfile(file):
        raise UnsupportedModel(_damaged(file, None))
    try:
        return torch.load(file, map_location="cpu", weights_only=True, mmap=True)
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
