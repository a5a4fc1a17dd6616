"""What another package's method must be before it is taken among ours."""

from __future__ import annotations

import inspect


def fault(entry: object) -> str:
    """Why something is no method, in a few words; "" if it is one.

    >>> fault(3)
    'is no function'
    """
    if not callable(entry) or isinstance(entry, type):
        return "is no function"
    try:
        inspect.signature(entry).bind("live", "prompt", "answer", "targets")
    except (TypeError, ValueError):
        return "does not take (live, prompt, answer, targets)"
    return ""
