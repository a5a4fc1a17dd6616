"""The tensors of a checkpoint by name, each read when it is asked for and not before."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from torch import Tensor

from groundviz.errors import UnsupportedModel
from groundviz.models.checkpoints.reading.folders import AGAIN, within
from groundviz.models.checkpoints.reading.shards import Pickled, Safe, Shard

# Of each kind: its index, and its files where there is no index.
KINDS = (
    ("model.safetensors.index.json", "*.safetensors"),
    ("pytorch_model.bin.index.json", "pytorch_model*.bin"),
)


class Weights(Mapping[str, Tensor]):
    """Every tensor of a checkpoint, memory-mapped: what is not asked for is never read.

    Files are safetensors, or what `torch.save` wrote.

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

    def __init__(self, shards: Iterable[Shard], format: str) -> None:
        """Put shards together; each tensor lies in one of them."""
        self.format = format
        self._homes: dict[str, Shard] = {}
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
            (Safe(file) if safe else Pickled(file, inside) for file in files),
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

    def is_plain(self, name: str) -> bool:
        """Whether a tensor is made of floating-point numbers that all stand in its file; nothing is read."""
        return self._homes[name].is_plain(name)

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
        files = [within(folder, name, "index") for name in names]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UnsupportedModel(f"The checkpoint's index of weights cannot be read. {AGAIN}") from None
    return files, set(homes)
