"""Raised inside the measurement where a model cannot be measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from groundviz.runtime.passes.batches import is_out_of_memory

T = TypeVar("T")
# What a model's code raises on inputs that it cannot take.
_FAILURES = (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)


class Unmeasurable(Exception):
    """Why a model's geometry cannot be measured, as the end of a sentence."""


def attempted(run: Callable[[], T]) -> T:
    """What passes of a model give.

    Raises:
        Unmeasurable: They fail; not for want of memory, which is raised as it is.
    """
    try:
        return run()
    except _FAILURES as error:
        if is_out_of_memory(error):
            raise
        raise Unmeasurable(f"a forward pass of it fails ({type(error).__name__})") from error
