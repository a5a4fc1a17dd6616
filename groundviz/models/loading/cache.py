"""Keeps models that the user named: each is loaded once, because every use leaves it unchanged.

::

    what ships      the demo and the cheat are small, and stay
    one other       what was named last; it goes before another is loaded, so there is never room for two
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from groundviz.forking import fork_safe_lock
from groundviz.models.adapter.vlm import VLM
from groundviz.models.loading.places import Place, local_folder
from groundviz.models.loading.processor import checked
from groundviz.models.loading.shipped import shipped_folder


class _Kept(NamedTuple):
    key: object
    vlm: VLM
    # Whether the processor is the model's own, not one that the user gave.
    own: bool


# By name where it ships with groundviz; what else was named last is under "".
_KEPT: dict[str, _Kept] = {}
_TURN = fork_safe_lock()


def forget() -> None:
    """Let go of the models that `explain` and others loaded by name, so that their memory is free.

    They are loaded again when they are named again. What `load` returned is the caller's, and not kept here.

    >>> forget()
    """
    with _TURN:
        _KEPT.clear()


def loaded_once(place: Place, load: Callable[..., VLM], processor: Any = None) -> VLM:
    """The model of that name, from memory if it was loaded before and its files are still the same.

    Args:
        place: "demo", "cheat", a local folder, or a hub id.
        load: What loads it. Other threads that name a model wait while it runs.
        processor: What the user gave as its processor.
    """
    kept = str(place) if shipped_folder(place) else ""
    key = kept or _key(place)
    with _TURN:
        known = _KEPT.get(kept)
        if known is not None and known.key == key and (processor is not None or known.own):
            return known.vlm if processor is None else replace(known.vlm, processor=checked(processor))
        # Before the next one is loaded: two large models may not fit.
        _KEPT.pop(kept, None)
        del known
        vlm = load(place, processor=processor)
        _KEPT[kept] = _Kept(key, vlm, processor is None)
        return vlm


def _key(place: Place) -> object:
    """What changes when a folder's files do; a hub id is itself."""
    folder = local_folder(place)
    if folder is None:
        return os.fspath(place)
    files = sorted(one for one in folder.iterdir() if one.is_file())
    return folder.resolve(), tuple((one.name, *_stamp(one)) for one in files)


def _stamp(file: Path) -> tuple[int, ...]:
    found = file.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns
