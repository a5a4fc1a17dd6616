"""Names the origin of a model. A hub id is public; a folder's path may name a person, and is not shown."""

from __future__ import annotations

import re
from pathlib import Path

from groundviz.models.loading.shipped import shipped_name

FOLDER, MISSING = "local folder", "a folder that is not there"
LONGEST = 200
# Paths in messages: in quotes, where they may have blanks, and without quotes.
PATHS = (
    re.compile(r"(?<=')(?:[A-Za-z]:)?[\\/][^']*(?=')"),
    re.compile(r"(?<![\w.:/\\-])(?:[A-Za-z]:)?[\\/][^\s'\",;]+"),
)


def public_name(origin: str, architecture: str) -> str:
    """What a live model is called: its hub id, "demo", "cheat", or its architecture.

    >>> public_name("microsoft/llava-med", "LlavaForConditionalGeneration")
    'microsoft/llava-med'
    >>> public_name("/home/somebody/model", "LlavaForConditionalGeneration")
    'LlavaForConditionalGeneration'
    """
    if not origin:
        return architecture
    if shipped := shipped_name(origin):
        return shipped
    if _is_folder(origin) or Path(origin).is_absolute():
        return architecture
    return origin


def shown_name(name: str) -> str:
    """A hub id as it is, and words for a folder.

    >>> shown_name("/nowhere/at/all")
    'a folder that is not there'
    """
    if _is_folder(name):
        return FOLDER
    return name if re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", name) else MISSING


def quoted(shown: str) -> str:
    """What is shown of an origin, within a sentence: a name in quotes, words for a folder without.

    >>> quoted("lab/model"), quoted("local folder")
    ("'lab/model'", 'the local folder')
    """
    return {FOLDER: f"the {FOLDER}", MISSING: MISSING}.get(shown, repr(shown))


def first_line(error: Exception, place: str, shown: str) -> str:
    """The first sentences of an error's message, without paths.

    Args:
        error: Any.
        place: Where something was being loaded from.
        shown: What to show in place of it.

    >>> first_line(OSError("'/home/somebody/model/config.json' is damaged"), "/home/somebody/model", "there")
    "'there/config.json' is damaged."
    >>> first_line(OSError("no room at /home/somebody/.cache/hub"), "lab/model", "lab/model")
    'no room at ...'
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    # A line that ends in a colon continues in the next one.
    line = " ".join(line.strip() for line in lines[: 1 + lines[0].endswith(":")])
    if place:
        line = line.replace(f"'{place}'", quoted(shown)).replace(place, shown)
    for path in PATHS:
        line = path.sub("...", line)
    if len(line) > LONGEST:
        ends = [end.end() for end in re.finditer(r"[.!?](?=\s)", line[:LONGEST])]
        line = line[: ends[-1]] if ends else f"{line[:LONGEST].rpartition(' ')[0]} ..."
    return line if line.endswith((".", "!", "?")) else f"{line}."


def _is_folder(name: str) -> bool:
    try:
        return Path(name).is_dir()
    except OSError:
        # Longer than any name may be.
        return False
