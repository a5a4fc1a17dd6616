"""Pages of the documentation: their fenced blocks, and whether a generated page is up to date."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
# What a reader of the repository meets, wherever it lies.
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md")),
    *sorted(DOCS.glob("*.md")),
]
MOST_LINES = 20


def fences(page: Path, language: str) -> list[str]:
    """The blocks of a page that are fenced as one language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def between(page: Path, name: str) -> str:
    """What stands between the comments `<!-- name -->` and `<!-- end of name -->`."""
    return page.read_text("utf-8").split(f"<!-- {name} -->\n")[1].split(f"<!-- end of {name} -->")[0]


def assert_up_to_date(kept: str, made: str, *, page: Path, command: str) -> None:
    """Fail where a generated page is not what its command makes now, and name that command.

    Args:
        kept: What stands on the page.
        made: What the command makes.
        page: The page, for the message.
        command: What makes it, to be run in the root of the repository.
    """
    if kept == made:
        return
    changed = list(difflib.unified_diff(kept.splitlines(), made.splitlines(), "kept", "made", "", "", 0, ""))
    name = page.relative_to(ROOT) if page.is_relative_to(ROOT) else page
    pytest.fail(
        "\n".join([f"{name} is out of date. Make it again: {command}", *changed[:MOST_LINES]]), pytrace=False
    )
