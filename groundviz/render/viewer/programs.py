"""Other programs than the viewer's, which share its modules."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from groundviz.render.viewer import modules
from groundviz.render.viewer.compact import compact

_RENDER = Path(__file__).parents[1]
EXPORT = "export default { render };"


@cache
def joined(entry: str, ending: str = EXPORT) -> str:
    """A module and all that it imports, in one text without comments and without its last line, the export.

    Args:
        entry: The module's path below `render`, such as "gallery/static/main.js".
        ending: Its last line.
    """

    def part(path: str) -> str:
        # Of modules that are entries elsewhere, what they export by name is meant.
        return read(path) if path == entry else read(path).removesuffix(f"{EXPORT}\n")

    return compact(modules.joined(entry, part, ending=ending))


def read(path: str) -> str:
    """The text of a file below `render`."""
    return (_RENDER / path).read_text("utf-8")
