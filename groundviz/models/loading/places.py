"""Tells local folders from hub ids. Only a hub id is ever sent over the network.

A hub id is two plain words with one slash between them: owner/name. If there is a local folder of the owner's
name, the text is taken for a mistyped path, not for a hub id.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from groundviz.errors import UnsupportedModel, argument
from groundviz.models.loading.naming import MISSING
from groundviz.models.loading.shipped import SHIPPED

Place = str | os.PathLike[str]

WORD = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}"
HUB_ID = re.compile(f"{WORD}/{WORD}")
MOST_NEIGHBOURS = 10_000
WANTED = "Give a local folder, or a hub id such as llava-hf/llava-1.5-7b-hf."


def local_folder(place: Place, *, called: str = "model", revision: str | None = None) -> Path | None:
    """The folder that a name stands for; None for a hub id.

    Args:
        place: What the user gave; "~" is the home folder.
        called: The name of the argument, for the message.
        revision: Hub revision, which says that it is a hub id.

    Raises:
        UnsupportedModel: It is neither.

    >>> local_folder("lab/model") is None
    True
    >>> local_folder("./my-modle")
    Traceback (most recent call last):
        ...
    groundviz.errors.UnsupportedModel: No model could be loaded: what was given as model is a folder \
that is not there. Nothing was asked of the network. Give a local folder, or a hub id such as \
llava-hf/llava-1.5-7b-hf.
    """
    name = os.fspath(place)
    # Path("") would be the folder that one is in.
    if isinstance(name, str) and name:
        folder = Path(name)
        if _is_folder(folder.expanduser() if name.startswith("~") else folder):
            return folder.expanduser()
        if isinstance(place, str) and _is_hub_id(name) and (revision or not _is_folder(folder.parent)):
            return None
    raise UnsupportedModel(f"{_neither(place, called)} {WANTED}")


def _is_hub_id(name: str) -> bool:
    return bool(HUB_ID.fullmatch(name)) and not re.search(r"--|\.\.|\.git$", name)


def _is_folder(folder: Path) -> bool:
    try:
        return folder.is_dir()
    except (OSError, ValueError):
        # Longer than any name may be, or with a character that none may have.
        return False


def _neither(place: Place, called: str) -> str:
    """What was found, without the name: it may be that of a person."""
    name = str(os.fspath(place))
    found = f"No model could be loaded: what was given as {called} is {MISSING}."
    near_names = difflib.get_close_matches(name.lower(), SHIPPED, n=1, cutoff=0.7)
    if called == "model" and near_names:
        return f'{found} Did you mean "{near_names[0]}"?'
    if near := sum(1 for _ in _alike(Path(name))):
        found += f" Folders beside it that have nearly that name: {near}."
    if isinstance(place, str) and _is_hub_id(name):
        return (
            f"{found} There is a folder here of the name before the slash, so it was taken for a path; if it "
            f"is a hub id, say so with {argument('revision', 'main')}."
        )
    return f"{found} Nothing was asked of the network."


def _alike(missing: Path) -> Iterator[str]:
    try:
        parent = missing.expanduser().parent
        names = [one.name for one in islice(parent.iterdir(), MOST_NEIGHBOURS) if one.is_dir()]
    except (OSError, ValueError, RuntimeError):
        return
    yield from difflib.get_close_matches(missing.name, names, n=9, cutoff=0.75)
