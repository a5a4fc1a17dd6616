"""The interactive viewer's own files, as each of its hosts needs them.

The modules in `static` are plain ES modules without dependencies. They are joined into one: a live widget
takes it as it is; a page, or a notebook's saved output, takes it as one plain script, which needs no
import and so runs under a strict content security policy and from a file.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from groundviz.render.viewer import modules
from groundviz.render.viewer.compact import compact
from groundviz.render.viewer.themes import themed

_STATIC = Path(__file__).with_name("static")
_EXPORT = "export default { render };"


@cache
def module() -> str:
    """The viewer as an ES module whose default export holds `render`, without comments and indents.

    >>> module().rstrip().endswith("export default { render };")
    True
    """
    return f"{_joined()}{_EXPORT}\n"


@cache
def style() -> str:
    """The viewer's style sheet, every rule of which stays inside the viewer."""
    return themed(_read("viewer.css"))


@cache
def program() -> str:
    """The viewer as a plain script that upgrades every static image standing with its payload.

    >>> "export" in program(), "//" in program()
    (False, False)
    """
    return f'(() => {{\n"use strict";\n{_joined()}upgrade();\n}})();'


@cache
def _joined() -> str:
    return compact(modules.joined("main.js", _read, ending=_EXPORT))


def _read(path: str) -> str:
    return (_STATIC / path).read_text("utf-8")
