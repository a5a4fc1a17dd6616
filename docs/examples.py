"""Docstrings as the site shows them: examples that start with >>> become blocks of code."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

EXAMPLE = re.compile(r"^>>> .*?(?=\n\s*\n|\Z)", re.MULTILINE | re.DOTALL)


class Examples(Extension):
    """Turns the examples of every docstring into fenced blocks."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Called for each module, class, function and attribute."""
        if obj.docstring:
            fenced = EXAMPLE.sub(lambda found: f"```pycon\n{found[0]}\n```", obj.docstring.value)
            # A "::" of its own announces a drawing in plain text, which Markdown knows by its indent.
            obj.docstring.value = re.sub(r"^::\n", "", fenced, flags=re.MULTILINE)
