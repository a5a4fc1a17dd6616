"""A folder that holds an adapter alone, as peft saves it: the model beneath lies elsewhere.

::

    folder      adapter_config.json             kind, settings, and what the base is called
                adapter_model.safetensors       the adapter's weights
    base        the model, and its processor where the folder has none
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from groundviz.errors import MissingExtra, UnsupportedModel
from groundviz.models.loading.offline import closed
from groundviz.models.loading.places import HUB_ID, Place

DESCRIPTION, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json")
LARGEST_DESCRIPTION = 4 << 20


def holds_adapter_alone(place: Place) -> bool:
    """Whether a place is a folder with an adapter and no model of its own."""
    folder = Path(place)
    return (folder / DESCRIPTION).is_file() and not (folder / "config.json").exists()


def base_of(folder: Path, given: Place | None) -> Place:
    """Where the model beneath an adapter lies: what the user gave, or a folder that the adapter names.

    Args:
        folder: The adapter's.
        given: What the user gave as `base`.

    Raises:
        UnsupportedModel: The adapter names what is not here; nothing is fetched without the user's word.
    """
    described = _described(folder)
    if given is not None:
        return given
    named = described.get("base_model_name_or_path")
    # Two slashes or backslashes at the beginning are another computer's.
    if isinstance(named, str) and named and not named.replace("\\", "/").startswith("//"):
        if Path(named).is_dir():
            return Path(named)
    what = (
        f"names {named!r}" if isinstance(named, str) and HUB_ID.fullmatch(named) else "names no folder here"
    )
    raise UnsupportedModel(
        "The folder holds an adapter, and the model beneath it lies elsewhere: its adapter_config.json "
        f"{what}. A local folder makes nothing be fetched. Say yourself which model it is, as a local folder "
        "or a hub id: load(..., base=...)."
    )


def has_processor(folder: Path) -> bool:
    """Whether a processor lies beside an adapter."""
    return any((folder / name).is_file() for name in PROCESSOR_FILES)


def check_loadable(folder: Path) -> None:
    """Stop before a base is loaded for nothing.

    Raises:
        UnsupportedModel: The adapter's weights are missing or a pickle, or it names code to import.
        MissingExtra: peft is not installed.
    """
    if not (folder / WEIGHTS).is_file():
        raise UnsupportedModel(
            f"The adapter's weights are missing: {WEIGHTS} was expected beside {DESCRIPTION}, and pickles "
            "are not read. Save the adapter again with save_pretrained."
        )
    if _described(folder).get("megatron_config") is not None:
        raise UnsupportedModel(
            "The adapter names a library to import, megatron, and no code that a checkpoint names is run."
        )
    if find_spec("peft") is None:
        raise MissingExtra("The folder holds an adapter, which needs peft. Install it with: pip install peft")


def add_adapter(model: Any, folder: Path) -> None:
    """Put the adapter of a folder into a model, and use it."""
    with closed():
        found = model.load_adapter(str(folder))
    missing = sorted(map(str, getattr(found, "missing_keys", None) or ()))
    if missing:
        raise UnsupportedModel(
            f"The adapter does not fit the model: {len(missing)} of its tensors are missing, such as "
            f"{missing[0][:200]}. Give the base that it was trained on."
        )


def _described(folder: Path) -> Mapping[str, Any]:
    file = folder / DESCRIPTION
    try:
        if file.stat().st_size <= LARGEST_DESCRIPTION:
            found = json.loads(file.read_text("utf-8"))
            if isinstance(found, dict):
                return found
    except (OSError, ValueError, RecursionError):
        pass
    raise UnsupportedModel(f"The adapter's {DESCRIPTION} cannot be read. Save the adapter again.")
