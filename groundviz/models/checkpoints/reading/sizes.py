"""Checks a folder in transformers' own format before its tensors are read.

::

    index       names files of this folder alone
    files       safetensors, whose descriptions are of a model's length
    config      asks for no more layers, and no more numbers, than the files hold
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from transformers import AutoConfig, AutoModelForImageTextToText

from groundviz.errors import UnsupportedModel
from groundviz.models.checkpoints.reading.folders import AGAIN, within
from groundviz.models.checkpoints.reading.shards import check_header

INDEX = "model.safetensors.index.json"
LARGEST_INDEX, LARGEST_CONFIG = 16 << 20, 4 << 20
# Settings that say how often something is repeated.
COUNTS = re.compile(r"layer|depth|block|expert|stage|num_")
# A config may make a list of so many; what a model may have of them depends on its files.
MOST_PARTS = 100_000
# A model may have two names for one tensor, and packed weights hold up to sixteen numbers in one.
NAMES_OF_ONE, PACKED = 2, 16
SMALL_CHANGE = 1 << 20
UNFIT = "Give the checkpoint as it was published."


def check_folder(folder: Path, config: Mapping[str, Any]) -> None:
    """Stop a folder that reaches outside itself, or asks for a model that its files cannot fill.

    The model is put together without memory for its numbers, and never beyond what the files hold.

    Args:
        folder: A local folder with config.json.
        config: What that says.

    Raises:
        UnsupportedModel: A file lies elsewhere, or the config asks for too much.
    """
    if (folder / "config.json").stat().st_size > LARGEST_CONFIG:
        raise UnsupportedModel(f"The checkpoint's config.json is larger than {LARGEST_CONFIG} bytes. {UNFIT}")
    shapes = dict(_shapes(_weight_files(folder)))
    if not shapes:
        # Transformers says in its own words what is missing.
        return
    for key, count in _counts(config):
        if count > max(len(shapes), MOST_PARTS):
            raise UnsupportedModel(
                f"The checkpoint does not fit its config, which asks for {key}={count}: it has {len(shapes)} "
                f"tensors. {UNFIT}"
            )
    room = sum(map(prod, shapes.values())) * NAMES_OF_ONE + SMALL_CHANGE
    if "quantization_config" in config:
        room *= PACKED
    _check_room(folder, room, len(shapes))


def _weight_files(folder: Path) -> list[Path]:
    if not (folder / INDEX).is_file() or (folder / "model.safetensors").is_file():
        return sorted(folder.glob("model*.safetensors"))
    try:
        if (folder / INDEX).stat().st_size > LARGEST_INDEX:
            raise ValueError("too large")
        names = sorted({*json.loads((folder / INDEX).read_text("utf-8"))["weight_map"].values()})
        files = [within(folder, name, "index") for name in names]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UnsupportedModel(f"The checkpoint's index of weights cannot be read. {AGAIN}") from None
    for file in files:
        if not _belongs(file, folder):
            raise UnsupportedModel(f"The checkpoint's index names a file outside its own folder. {AGAIN}")
    return files


def _belongs(file: Path, folder: Path) -> bool:
    """Whether a file lies in a folder; in the hub's own cache it is a link to a place beside that."""
    target, home = file.resolve(), folder.resolve()
    cache = home.parents[1] / "blobs" if home.parent.name == "snapshots" else home
    return target.is_relative_to(home) or target.is_relative_to(cache)


def _shapes(files: list[Path]) -> Iterator[tuple[str, tuple[int, ...]]]:
    for file in files:
        if file.is_file():
            check_header(file)
            with safe_open(file, framework="pt") as opened:
                for name in opened.keys():
                    yield name, tuple(opened.get_slice(name).get_shape())


def _counts(config: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Each setting that counts parts of a model, wherever it stands."""
    waiting: list[tuple[str, Any]] = [*config.items()]
    while waiting:
        key, held = waiting.pop()
        if isinstance(held, Mapping):
            waiting += held.items()
        elif isinstance(held, list):
            waiting += [(key, one) for one in held]
        elif isinstance(held, int) and not isinstance(held, bool) and COUNTS.search(str(key)):
            yield str(key)[:50], held


def _check_room(folder: Path, room: int, tensors: int) -> None:
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    here, found = threading.get_ident(), {"numbers": 0, "parts": 0}

    def count(module: nn.Module, name: str, weight: nn.Parameter | None) -> None:
        if weight is None or threading.get_ident() != here:
            return
        found["numbers"] += weight.numel()
        found["parts"] += 1
        if found["numbers"] > room or found["parts"] > NAMES_OF_ONE * PACKED * tensors + SMALL_CHANGE // 1024:
            raise UnsupportedModel(
                f"The checkpoint does not fit its config, which asks for more than {room} numbers or many "
                f"more parts than the {tensors} tensors that it has. {UNFIT}"
            )

    watch = register_module_parameter_registration_hook(count)
    try:
        with torch.device("meta"):
            AutoModelForImageTextToText.from_config(config, trust_remote_code=False)
    finally:
        watch.remove()
