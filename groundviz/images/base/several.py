"""One of several images: an error of it says which of them it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from groundviz.errors import GroundvizError, ImageError, MissingExtra

T = TypeVar("T")


def one_of(
    name: str, read: Callable[[], T], told: tuple[type[GroundvizError], ...] = (ImageError, MissingExtra)
) -> T:
    """What is read.

    Args:
        name: Which of them it is, in words with which an error begins.
        read: Reads it.
        told: The errors that begin so.

    Raises:
        GroundvizError: As `read` raises it.
    """
    try:
        return read()
    except told as error:
        failure = type(error)(f"{name}: {error}")
    # Raised outside the handler, so that the first error is not its context.
    raise failure
