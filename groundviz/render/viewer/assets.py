"""The interactive viewer's own files, as each of its hosts needs them.

`static/viewer.js` is one ES module without dependencies. A live widget takes it as it is; a page, or a
notebook's saved output, takes it as one plain script, which needs no import and so runs under a strict
content security policy and from a file.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_STATIC = Path(__file__).with_name("static")
_EXPORT = "export default { render };"
_COMMENT = re.compile(r"^\s*(?:/\*(?:.|\n)*?\*/|//.*)\n", re.MULTILINE)
_INDENT = re.compile(r"^\s+", re.MULTILINE)


@cache
def module() -> str:
    """The viewer as an ES module whose default export holds `render`, without comments and indents.

    >>> module().rstrip().endswith("export default { render };")
    True
    """
    return _INDENT.sub("", _COMMENT.sub("", (_STATIC / "viewer.js").read_text("utf-8")))


@cache
def style() -> str:
    """The viewer's style sheet, every rule of which stays inside the viewer."""
    return (_STATIC / "viewer.css").read_text("utf-8")


@cache
def program() -> str:
    """The viewer as a plain script that upgrades every static image standing with its payload.

    >>> "export" in program(), "//" in program()
    (False, False)
    """
    return f'(() => {{\n"use strict";\n{module().replace(_EXPORT, "upgrade();")}}})();'
