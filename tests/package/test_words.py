"""One word for a thing: the words that the glossary of CONTRIBUTING.md replaces stand nowhere any more."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KINDS = {".py", ".md", ".js", ".mjs", ".css", ".toml", ".yml", ".yaml", ".ipynb", ".cff", ""}
# The changelog tells what the old names were; this file and the glossary itself spell them.
EXEMPT = {
    # Files keep the names of the first version.
    "groundviz/record/store.py",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "tests/package/test_words.py",
    "LICENSE",
}

# What others made, where there is no git to say so.
MADE = {"build", "dist", "node_modules", "site", ".pytest_cache", ".hypothesis", ".nox", "groundviz.egg-info"}

REPLACED = {
    "lent": "borrowed",
    "lend": "borrow",
    "lends": "borrows",
    "lending": "borrowing",
    "picture": "image",
    "pictures": "images",
    "slope": "gradient",
    "slopes": "gradients",
    "said": "generated",
    "hangs on": "depends on",
    "hang on": "depend on",
    "looked at": "attended to",
    "few bits": "quantised",
    "proved on": "tested with",
    "rival": "foil",
    "rivals": "foils",
    "lie at most": "maximum cell position error",
}
# As words of their own, and as parts of identifiers: "picture" also stands in square_picture.
WORD = re.compile(
    r"(?<![a-z])(?<!rescale )(?<!rescale_)("
    + "|".join(word.replace(" ", r"[\s_]+") for word in REPLACED)
    + r")(?![a-z])",
    re.IGNORECASE,
)


def texts() -> list[str]:
    """The tracked files of code and prose."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=False, capture_output=True, text=True
    ).stdout.split("\n")
    names = listed
    if not any(listed):
        here = [path.relative_to(ROOT) for path in ROOT.rglob("*.*")]
        names = [path.as_posix() for path in here if path.parts[0] not in MADE and path.suffix != ""]
    return [name for name in names if name and Path(name).suffix in KINDS and name not in EXEMPT]


def replaced_words(text: str) -> list[str]:
    """The words of a text that have been replaced."""
    return [found[0] for found in WORD.finditer(text)]


@pytest.mark.parametrize("room", sorted({name.split("/")[0] for name in texts()}))
def test_replaced_words_stand_nowhere(room: str) -> None:
    found = {}
    for name in texts():
        path = ROOT / name
        if (
            name.split("/")[0] == room
            and path.is_file()
            and (words := replaced_words(path.read_text("utf-8")))
        ):
            found[name] = words[:5]
    assert found == {}


@pytest.mark.parametrize(
    "text", ["square_picture", "the PICTURE", "looked\n    at", "a Rival", "said_before"]
)
def test_the_search_above_finds(text: str) -> None:
    assert replaced_words(text)


@pytest.mark.parametrize("text", ["silent", "RescaleSlope", "arrival", "calendar", "islope", "Rescale Slope"])
def test_the_search_above_leaves_other_words(text: str) -> None:
    assert not replaced_words(text)
