"""Each part of a record in one line, for a prompt or a log: what it is, never all that it holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from groundviz.record.parts.arrays import Floats

LONGEST_LINE = 200
LONGEST_TEXT = 40
MOST_NAMES = 4


def line(kind: str, *facts: str) -> str:
    """The line that stands for a thing; facts that are empty are left out.

    >>> line("Grid", "14 x 14 cells", "", "language")
    '<Grid: 14 x 14 cells, language>'
    """
    told = f"{kind}: {', '.join(filter(None, facts))}"
    # A file that somebody made may hold control characters where names should be.
    if not told.isprintable():
        told = "".join(map(_printable, told))
    return f"<{_shortened(told, LONGEST_LINE - 2)}>"


def quoted(text: str) -> str:
    r"""The beginning of a text in quotation marks, with nothing in it that could break a line.

    >>> quoted("left\nlung"), quoted("a" * 100)[-5:]
    ("'left\\nlung'", "aaa…'")
    """
    return repr(_shortened(text, LONGEST_TEXT))


def listed(names: Sequence[str]) -> str:
    """Names beside each other; of many, the first ones and how many more there are.

    >>> listed(["a", "b", "c", "d", "e", "f"])
    'a, b, c, d and 2 more'
    """
    shown = ", ".join(_shortened(name, LONGEST_TEXT) for name in names[:MOST_NAMES])
    more = len(names) - MOST_NAMES
    if more > 0:
        return f"{shown} and {more} more"
    return shown


def size(shape: Sequence[int]) -> str:
    """Rows and columns.

    >>> size((14, 7))
    '14 x 7'
    """
    return " x ".join(str(length) for length in shape)


def counted(number: int, what: str) -> str:
    """A number of things, in the singular or the plural; nothing for none.

    >>> counted(1, "layer"), counted(2, "layer"), counted(0, "layer")
    ('1 layer', '2 layers', '')
    """
    if number == 0:
        return ""
    if number == 1:
        return f"1 {what}"
    return f"{number} {what}s"


def span(values: Floats) -> str:
    """From the lowest to the highest of some values, and how many there are none of.

    >>> span(np.array([0.5, 0.25, np.nan]))
    '0.25 to 0.5, 1 of 3 NaN'
    """
    seen = values[np.isfinite(values)]
    if not seen.size:
        return "all NaN"
    told = f"{seen.min():.3g} to {seen.max():.3g}"
    missing = values.size - seen.size
    if missing:
        told += f", {missing} of {values.size} NaN"
    return told


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")


def _shortened(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    return text[: most - 1] + "…"
