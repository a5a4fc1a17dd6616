"""Folders of checkpoints: local ones as they are, hub ids as far as they are needed."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from transformers import PretrainedConfig

from groundviz.errors import UnsupportedModel
from groundviz.models.loading.offline import closed
from groundviz.models.loading.places import Place, local_folder

DESCRIPTIONS = ("*.json", "tokenizer*", "*.txt")
AGAIN = "Download the checkpoint again."
# Of what lies beside the published files, and copies of the weights in other layouts.
IGNORED = ("*/*", "consolidated*")


def config_at(place: Place, revision: str | None = None) -> Mapping[str, Any]:
    """The config.json of a checkpoint; empty where a local folder has none.

    Raises:
        OSError: No such hub id, or no way to it.
        ValueError: The file is no JSON.
    """
    # Transformers adds a name, which may be a path, and a commit.
    found: dict[str, Any] = PretrainedConfig.get_config_dict(os.fspath(place), revision=revision or "main")[0]
    return found


def fetched(place: Place, files: Sequence[str], revision: str | None = None) -> Path:
    """The folder of a checkpoint, with those of its files that match a pattern and its descriptions.

    Raises:
        OSError: No such hub id, or no way to it.
        UnsupportedModel: Neither a folder nor a hub id.
    """
    if (local := local_folder(place, revision=revision)) is not None:
        return local
    patterns = [*DESCRIPTIONS, *files]
    # The user named it, perhaps beside a folder that may ask for nothing.
    with closed(wanted=False):
        found = snapshot_download(
            os.fspath(place), revision=revision, allow_patterns=patterns, ignore_patterns=list(IGNORED)
        )
    return Path(found)


def within(folder: Path, name: str, by: str) -> Path:
    """A file of a folder that a config or an index names: these come from strangers.

    Args:
        folder: Where it should lie.
        name: The file's name.
        by: What named it, for the message.

    Raises:
        UnsupportedModel: It lies elsewhere, or has a name that no file of a checkpoint has.
        TypeError: It is no name.

    >>> within(Path("checkpoint"), "model-00001-of-00002.safetensors", "index").name
    'model-00001-of-00002.safetensors'
    """
    if not re.fullmatch(r"\w[\w.-]{0,250}", name, re.ASCII):
        raise UnsupportedModel(f"The checkpoint's {by} names a file outside its own folder. {AGAIN}")
    return folder / name


def beside(place: Place | None, name: str) -> Path | None:
    """The folder of what the user gave as `base` or `vision`, with its weights; None for None.

    Args:
        place: A local folder or a hub id.
        name: "base" or "vision", for the message.

    Raises:
        UnsupportedModel: It is neither.
    """
    if place is None:
        return None
    local_folder(place, called=name)
    try:
        folder = fetched(place, ["*.safetensors"])
        return folder if any(folder.glob("*.safetensors")) else fetched(place, ["pytorch_model*.bin"])
    except (OSError, ValueError) as error:
        raise UnsupportedModel(
            f"What was given as {name} was not found ({type(error).__name__}): it should be a local folder "
            "or a hub id. Check its spelling, and the way to the hub."
        ) from None


def called(place: Place, folder: Path) -> str:
    """Names where something came from: a hub id and its commit, never a path."""
    return "local folder" if local_folder(place) else f"{os.fspath(place)} at {folder.name[:12]}"
