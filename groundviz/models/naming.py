"""What may be said of where a model came from: a hub id is public; a folder's path may name a person."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Any


def public_name(origin: str, architecture: str) -> str:
    """What a live model is called: its hub id, "demo", or its architecture.

    >>> public_name("microsoft/llava-med", "LlavaForConditionalGeneration")
    'microsoft/llava-med'
    >>> public_name("/home/somebody/model", "LlavaForConditionalGeneration")
    'LlavaForConditionalGeneration'
    """
    if not origin:
        return architecture
    if Path(origin) == Path(str(files("groundviz.demo") / "weights")):
        return "demo"
    return architecture if Path(origin).exists() or Path(origin).is_absolute() else origin


def shown_name(name: str) -> str:
    """A hub id as it is, and words for a folder.

    >>> shown_name("/nowhere/at/all")
    'a folder that is not there'
    """
    if Path(name).is_dir():
        return "local folder"
    return name if re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", name) else "a folder that is not there"


def first_line(error: Exception, place: Any, shown: str) -> str:
    """The first line of an error's message, in which a place is called what may be shown of it."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].replace(str(place), shown)[:200]
