"""A program without comments and without the white space that it does not need.

No name is changed and no line is reordered. Texts, templates and regular expressions stay as they are; a
regular expression is known by the bracket, or the equals sign and the space, before it. A template within
a template is not understood: the linter of the modules refuses it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_COMMENT = r"/\*(?:.|\n)*?\*/|//[^\n]*"
_TEXT = r'"(?:[^"\\\n]|\\.)*"' + r"|'(?:[^'\\\n]|\\.)*'" + r"|`(?:[^`\\]|\\.)*`"
_EXPRESSION = r"(?:(?<=\()|(?<== ))/(?![*/])(?:\\.|\[[^\]\n]*\]|[^/\\\n])+/"
_APART = re.compile(f"(?P<comment>{_COMMENT})|(?P<literal>{_TEXT}|{_EXPRESSION})")
_LINE_END = re.compile(r"[ \t]*\n\s*")
# Signs that need no space beside them. "/" might begin a comment: beside words and brackets it does not.
_SIGN = re.compile(r" *([{}()\[\]=,;:?<>&|*!]) *")
# "a + +b" is not "a++b".
_PLUS = re.compile(r"(?<![+-]) ([+-]) (?![+-])")
_OVER = re.compile(r"(?<=[\w)\]]) / (?=[\w(])")
_CHANGED = re.compile(r"(?<=[\w)\]]) ([+-]=)")
# Where no statement can end, or one has just ended, a new line means nothing.
_NEW_LINE = re.compile(r"(?<=[{(\[,;:?=<>&|])\n|\n(?=[)\]}.?:&|])")


def compact(text: str) -> str:
    r"""The same program in fewer characters.

    >>> compact('const a = "b  c"; // why\n\nif (a) {\n  go(1, /x y/);\n}\n')
    'const a="b  c";if(a){go(1,/x y/);}\n'
    >>> compact("x += (a) / b - (c + +d);\n")
    'x+=(a)/b-(c + +d);'
    """
    return _each_code(_each_code(text, str), _tight)


def _each_code(text: str, change: Callable[[str], str]) -> str:
    """Drop comments, keep literals, and change what stands between them."""
    parts, end = [], 0
    for found in _APART.finditer(text):
        parts.append(change(text[end : found.start()]))
        if found["literal"]:
            parts.append(found["literal"])
        end = found.end()
    return "".join([*parts, change(text[end:])])


def _tight(code: str) -> str:
    lines = _LINE_END.sub("\n", code)
    summed = _CHANGED.sub(r"\1", _OVER.sub("/", _PLUS.sub(r"\1", lines)))
    return _NEW_LINE.sub("", _SIGN.sub(r"\1", summed))
