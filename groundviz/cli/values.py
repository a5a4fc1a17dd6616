"""Reads the values of options; a value that cannot be read is refused before anything runs."""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Iterable
from typing import Any

from groundviz.errors import UnknownName


def natural(text: str) -> int:
    """A whole number from 0 on.

    Raises:
        ArgumentTypeError: The text is none.
    """
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)


def layer(text: str) -> int | str:
    """A layer or head: a whole number from 0 on, or "each".

    Raises:
        ArgumentTypeError: The text is none.
    """
    if text == "each":
        return text
    return natural(text)


def tile(text: str) -> int | str:
    """A tile: its number, or its label."""
    if re.fullmatch(r"\d{1,9}", text, re.ASCII):
        return int(text)
    return text


def positive(text: str) -> int:
    """A whole number above 0.

    Raises:
        ArgumentTypeError: The text is none.
    """
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def seed(text: str) -> int:
    """A seed that torch can take.

    Raises:
        ArgumentTypeError: The text is none.
    """
    if not re.fullmatch(r"\d{1,19}", text, re.ASCII) or int(text) >= 1 << 63:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {(1 << 63) - 1}")
    return int(text)


def above_zero(text: str) -> float:
    """A number above 0.

    Raises:
        ArgumentTypeError: The text is none.
    """
    number = _number(text)
    if not number > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def share(text: str) -> float:
    """A number above 0 to 1.

    Raises:
        ArgumentTypeError: The text is none.
    """
    number = _number(text)
    if not 0 < number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0 to 1")
    return number


def window(text: str) -> tuple[float, float]:
    """Centre and width of a window; whether they suit an image is checked when it is read.

    Raises:
        ArgumentTypeError: The text is none.
    """
    parts = [_number(part) for part in text.split(",")]
    if len(parts) != 2 or not all(map(math.isfinite, parts)):
        raise argparse.ArgumentTypeError(f"{text!r} is not CENTRE,WIDTH, such as 40,400")
    return parts[0], parts[1]


def slices(text: str) -> range | str:
    """Slices of a stack, as FIRST:STOP or FIRST:STOP:STEP, or "all".

    Raises:
        ArgumentTypeError: The text is neither, or names no slice.

    >>> list(slices("10:30:5"))
    [10, 15, 20, 25]
    """
    if text == "all":
        return text
    found = re.fullmatch(r"(\d{1,9}):(\d{1,9})(?::(\d{1,9}))?", text, re.ASCII)
    if found is None or int(found[3] or 1) == 0 or int(found[1]) >= int(found[2]):
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither 'all' nor FIRST:STOP or FIRST:STOP:STEP, such as 10:30:2, counting from 0"
        )
    return range(int(found[1]), int(found[2]), int(found[3] or 1))


def _number(text: str) -> float:
    """The finite number in a text; NaN for any other text."""
    # The callers compare the result, and every comparison with NaN is false.
    try:
        number = float(text)
    except ValueError:
        return math.nan
    if not math.isfinite(number):
        return math.nan
    return number


def setting(text: str) -> tuple[str, Any]:
    """A name and its value.

    Raises:
        ArgumentTypeError: The text is none.
    """
    name, equals, value = text.partition("=")
    if not (equals and name.strip()):
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return name.strip(), _value(value)


def method_option(text: str) -> tuple[str, str, Any]:
    """A method, the name of one of its options, and its value.

    Raises:
        ArgumentTypeError: The text is none.
    """
    name, value = setting(text)
    method, dot, option = name.rpartition(".")
    if not (dot and method and option):
        raise argparse.ArgumentTypeError(f"{text!r} is not METHOD.KEY=VALUE, such as rise.masks=64")
    return method, option, value


def add_methods(command: Any, says: str) -> None:
    """Let a command take methods: each after an option of its own, or several separated by commas."""
    command.add_argument(
        "--method", "--methods", type=names, metavar="NAMES", action="extend", dest="methods", help=says
    )


def add_measured(command: Any) -> None:
    """Let a command take the methods that it measures, and options of these."""
    says = "which, separated by commas or repeated (default: the usual ones); `groundviz methods` lists them"
    add_methods(command, says)
    each: dict[str, Any] = {"action": "append", "default": []}
    says = "an option of a method, such as rise.masks=64; may be repeated"
    command.add_argument("--option", type=method_option, metavar="METHOD.KEY=VALUE", help=says, **each)


def names(text: str) -> list[str]:
    """Names, separated by commas.

    Raises:
        ArgumentTypeError: The text holds none.

    >>> names("attention, rise")
    ['attention', 'rise']
    """
    found = [name.strip() for name in text.split(",") if name.strip()]
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} names nothing")
    return found


def by_method(methods: Iterable[str], options: Iterable[tuple[str, str, Any]]) -> dict[str, dict[str, Any]]:
    """The options of each method that is asked for, by its name.

    Args:
        methods: Those that are asked for.
        options: As `method_option` read them.

    Raises:
        UnknownName: An option is of a method that is not asked for.

    >>> by_method(["rise"], [("rise", "masks", 64)])
    {'rise': {'masks': 64}}
    """
    given: dict[str, dict[str, Any]] = {name: {} for name in methods}
    for method, option, value in options:
        if method not in given:
            raise UnknownName(
                f"The option {option!r} is for {method!r}, which is not asked for: asked for are "
                f"{', '.join(given)}. Add --method {method}."
            )
        given[method][option] = value
    return given


def _value(text: str) -> Any:
    """A value as JSON, or the text itself if it is no JSON: `mean` needs no quotation marks."""
    # JSON in Python would read NaN and Infinity as numbers. Here they stay texts.
    try:
        return json.loads(text, parse_constant=lambda name: name)
    except (ValueError, RecursionError):
        return text
