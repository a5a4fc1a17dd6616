"""How things below the rooms that draw show themselves in a notebook.

A heatmap, a table of methods and a certificate have an HTML form, and HTML is made in `render` alone, which
none of them may import. So each asks `card`, and `render.base.cards` teaches `card` what to draw when it is
imported: the front door and `groundviz.explanation` both do that.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A small table of texts, to be shown in a notebook.

    Attributes:
        title: What it lists.
        head: What each column is called.
        rows: The texts, a row for each thing.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@singledispatch
def card(thing: object) -> str | None:
    """The HTML of a thing, or None where nothing is known of its kind: a notebook then shows its text.

    >>> card("text") is None
    True
    """
    return None
