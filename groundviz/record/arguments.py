"""What the arguments of `explain` must be, before anything is loaded for them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from numbers import Real
from typing import Any

import numpy as np

from groundviz.errors import OptionError, PromptError, StoreError, TargetError
from groundviz.record.targets import check_named

LONGEST_LABEL = 200


def check_methods(methods: Any) -> None:
    """Stop what names no methods, before it is looked up.

    Raises:
        OptionError: It is neither a name, nor a list of names, nor a table of names and their options.

    >>> check_methods({"occlusion": {"window": 24}})
    """
    if methods is None or isinstance(methods, str):
        return
    if not isinstance(methods, Iterable) or isinstance(methods, bytes | bytearray):
        raise OptionError(
            f"methods is of type {type(methods).__name__}: expected a name, a list of names, or a table of "
            "names and their options. Give for example methods='attention'."
        )
    # What can be read once, such as a generator, is left for who reads it.
    if not isinstance(methods, Collection):
        return
    for name in methods:
        if not isinstance(name, str):
            raise OptionError(
                f"The name of a method is of type {type(name).__name__}: expected a text. Give texts."
            )
    if not isinstance(methods, Mapping):
        return
    for name, options in methods.items():
        if not isinstance(options, Mapping):
            raise OptionError(
                f"The options of {name} are of type {type(options).__name__}: expected a table of names and "
                "values. Give one, empty for the method's own."
            )


def check(*, methods: Any, answer: Any, target: Any, against: Any, seed: Any) -> None:
    """Stop arguments of a wrong kind, by name.

    Raises:
        PromptError: The given answer is no text.
        TargetError: The target is nothing that names a part of an answer, or the text to hold against it is
            no text.
        OptionError: The methods are no names, or the seed is no whole number that random numbers can start
            from.

    >>> check(methods=None, answer=None, target="nodule", against=None, seed=0)
    """
    check_methods(methods)
    if not isinstance(answer, str | None):
        raise PromptError(
            f"The answer is of type {type(answer).__name__}: expected a text, or None to let the model "
            "answer. Give answer='...'."
        )
    for one in target if isinstance(target, list) else [target]:
        check_named(one)
    if target == []:
        raise TargetError("The list of targets is empty: expected at least one. Name one, or leave it out.")
    if not isinstance(against, str | None):
        raise TargetError(
            f"What to hold against the target is of type {type(against).__name__}: expected a text. "
            "Give against='...'."
        )
    check_seed(seed)


def check_seed(seed: Any) -> None:
    """Stop what random numbers cannot start from.

    Raises:
        OptionError: It is no whole number from 0, below 2**63.

    >>> check_seed(0)
    """
    if not _is_whole(seed):
        raise _no_seed(f"of type {type(seed).__name__}")
    # torch takes 64 bits, with a sign.
    if not 0 <= seed < 2**63:
        raise _no_seed(str(seed))


def check_count(name: str, count: Any) -> None:
    """Stop what counts nothing.

    Raises:
        OptionError: It is no whole number above 0.

    >>> check_count("limit", 8)
    """
    if not _is_whole(count) or count < 1:
        raise OptionError(f"{name}={count!r:.40}: expected a whole number above 0. Give one.")


def check_table(name: str, table: Any) -> None:
    """Stop what names no values.

    Raises:
        OptionError: It is no table of names and values.

    >>> check_table("data", {"split": "test"})
    """
    if not isinstance(table, Mapping):
        raise OptionError(
            f"{name} is of type {type(table).__name__}: expected a table of names and values. "
            "Give one, or leave it out."
        )


def _is_whole(value: Any) -> bool:
    # True is an int to Python, and a number to nobody.
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _no_seed(found: str) -> OptionError:
    return OptionError(f"The seed is {found}: expected a whole number from 0, below 2**63. Give seed=0.")


def check_label(label: object) -> None:
    """Stop what no table could show on a line.

    Raises:
        StoreError: It is no text, too long, or holds line breaks or control characters.
    """
    found = ""
    if not isinstance(label, str):
        found = f"of type {type(label).__name__}"
    elif len(label) > LONGEST_LABEL:
        found = f"a text of {len(label)} characters"
    elif not label.isprintable():
        found = "a text with line breaks or control characters"
    if found:
        raise StoreError(
            f"The label cannot be kept: it is {found}, and should be a line of at most {LONGEST_LABEL} "
            'characters. Give a short name, such as label="checkpoint A".'
        )


def is_number(value: object) -> bool:
    """Whether a value is a real number, of numpy or of Python; True is one to Python, and to nobody else.

    >>> is_number(np.float32(0.5)), is_number(True), is_number("0.5")
    (True, False, False)
    """
    return isinstance(value, Real) and not isinstance(value, bool)
